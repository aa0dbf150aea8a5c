-- What: a value whose lack is NULL and not the zero of its type
-- Parameters: value. Returns: Nullable.
CREATE OR REPLACE FUNCTION maybe AS (value) -> toNullable(value);
