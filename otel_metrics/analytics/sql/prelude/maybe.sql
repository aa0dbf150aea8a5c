-- What: a value whose lack is NULL, as it always is here; in ClickHouse `lag` and `lead` would give the zero of its type.
-- Parameters: value. Returns: value.
CREATE MACRO maybe(value) AS value;
