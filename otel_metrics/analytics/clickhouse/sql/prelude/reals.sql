-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of DOUBLE.
CREATE OR REPLACE FUNCTION reals AS (list) -> CAST(list, 'Array(Nullable(Float64))');
