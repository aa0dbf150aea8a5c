-- What: division without a rest.
-- Parameters: number, divisor. Returns: BIGINT.
CREATE MACRO int_div(number, divisor) AS number // divisor;
