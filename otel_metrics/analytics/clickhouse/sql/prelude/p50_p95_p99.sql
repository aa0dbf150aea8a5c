-- What: quantiles of a group, interpolated; a list of NULLs without values, where DuckDB says NULL
-- Parameters: value. Returns: Array.
CREATE OR REPLACE FUNCTION p50_p95_p99 AS (value) -> quantilesExactInclusive(0.5, 0.95, 0.99)(value);
