-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of DOUBLE.
CREATE MACRO reals(list) AS list::DOUBLE[];
