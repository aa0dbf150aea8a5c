-- What: the time so many hours before another
-- Parameters: moment, hours. Returns: DateTime64(6), UTC.
CREATE OR REPLACE FUNCTION hours_before AS (moment, hours) -> fromUnixTimestamp64Micro(toUnixTimestamp64Micro(moment) - toInt64(hours * 3600000000), 'UTC');
