-- What: a parameter as a time
-- Parameters: moment. Returns: DateTime64(6), UTC.
CREATE OR REPLACE FUNCTION instant AS (moment) -> moment;
