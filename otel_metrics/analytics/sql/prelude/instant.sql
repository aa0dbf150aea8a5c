-- What: a parameter as a time.
-- Parameters: moment. Returns: TIMESTAMP.
CREATE MACRO instant(moment) AS moment::TIMESTAMP;
