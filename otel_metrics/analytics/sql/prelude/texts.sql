-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of VARCHAR.
CREATE MACRO texts(list) AS list::VARCHAR[];
