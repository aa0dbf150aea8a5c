-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of BIGINT.
CREATE MACRO wholes(list) AS list::BIGINT[];
