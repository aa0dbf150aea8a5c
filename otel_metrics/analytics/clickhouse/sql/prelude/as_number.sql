-- What: a text as a number; NULL where it is none
-- Parameters: text. Returns: Float64.
CREATE OR REPLACE FUNCTION as_number AS (text) -> toFloat64OrNull(trim(text));
