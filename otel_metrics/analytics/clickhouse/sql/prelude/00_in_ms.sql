-- What: seconds as text in whole milliseconds; NULL where it is no number
-- Parameters: text. Returns: Int64.
CREATE OR REPLACE FUNCTION in_ms AS (text) -> toInt64(round(toFloat64OrNull(text) * 1000));
