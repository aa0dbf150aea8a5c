-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of TIMESTAMP.
CREATE OR REPLACE FUNCTION moments AS (list) -> CAST(list, 'Array(Nullable(DateTime64(6, \'UTC\')))');
