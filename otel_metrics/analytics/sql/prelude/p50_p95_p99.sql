-- What: quantiles of a group, interpolated; NULL without values.
-- Parameters: value. Returns: list.
CREATE MACRO p50_p95_p99(value) AS quantile_cont(value, [0.5, 0.95, 0.99]);
