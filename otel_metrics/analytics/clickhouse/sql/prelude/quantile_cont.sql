-- What: a quantile of a group, interpolated; NULL without values
-- Parameters: value, share. Returns: Float64.
CREATE OR REPLACE FUNCTION quantile_cont AS (value, share) -> quantileExactInclusive(share)(value);
