-- What: whether a number is one
-- Parameters: number. Returns: Bool.
CREATE OR REPLACE FUNCTION isfinite AS (number) -> isFinite(number);
