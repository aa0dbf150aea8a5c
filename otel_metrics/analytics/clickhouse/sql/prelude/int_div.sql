-- What: division without a rest
-- Parameters: number, divisor. Returns: Int64.
CREATE OR REPLACE FUNCTION int_div AS (number, divisor) -> intDiv(number, divisor);
