-- What: quantiles of a group, interpolated; NULL without values.
-- Parameters: value. Returns: list.
CREATE MACRO p50_p90(value) AS quantile_cont(value, [0.5, 0.9]);
