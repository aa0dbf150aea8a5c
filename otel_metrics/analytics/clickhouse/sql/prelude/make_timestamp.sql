-- What: the time of microseconds
-- Parameters: us. Returns: DateTime64(6), UTC.
CREATE OR REPLACE FUNCTION make_timestamp AS (us) -> fromUnixTimestamp64Micro(toInt64(us), 'UTC');
