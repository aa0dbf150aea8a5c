-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of BIGINT.
CREATE OR REPLACE FUNCTION wholes AS (list) -> CAST(list, 'Array(Nullable(Int64))');
