-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of TIMESTAMP.
CREATE MACRO moments(list) AS list::TIMESTAMP[];
