-- What: a text as a whole number, rounded; NULL where it is none
-- Parameters: text. Returns: Int64.
CREATE OR REPLACE FUNCTION as_integer AS (text) -> ifNull(toInt64OrNull(text), accurateCastOrNull(round(toFloat64OrNull(text)), 'Int64'));
