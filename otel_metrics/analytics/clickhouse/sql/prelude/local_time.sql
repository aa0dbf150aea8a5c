-- What: a time as clocks of a zone show it.
-- Parameters: moment, zone. Returns: a time without a zone.
CREATE OR REPLACE FUNCTION local_time AS (moment, zone) -> fromUnixTimestamp64Micro(toUnixTimestamp64Micro(moment) + timezoneOffset(toTimeZone(moment, zone)) * 1000000, 'UTC');
