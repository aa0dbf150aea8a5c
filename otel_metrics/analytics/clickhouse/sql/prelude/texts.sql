-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of VARCHAR.
CREATE OR REPLACE FUNCTION texts AS (list) -> CAST(list, 'Array(Nullable(String))');
