-- What: quantiles of a group, interpolated; a list of NULLs without values, where DuckDB says NULL
-- Parameters: value. Returns: Array.
CREATE OR REPLACE FUNCTION p50_p90_p95 AS (value) -> quantilesExactInclusive(0.5, 0.9, 0.95)(value);
