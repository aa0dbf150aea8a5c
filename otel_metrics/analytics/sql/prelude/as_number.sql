-- What: a text as a number; NULL where it is none.
-- Parameters: text. Returns: DOUBLE.
CREATE MACRO as_number(text) AS TRY_CAST(text AS DOUBLE);
