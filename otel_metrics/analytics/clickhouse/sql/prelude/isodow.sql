-- What: the weekday of a time.
-- Parameters: moment. Returns: 1 Monday to 7 Sunday.
CREATE OR REPLACE FUNCTION isodow AS (moment) -> toDayOfWeek(moment);
