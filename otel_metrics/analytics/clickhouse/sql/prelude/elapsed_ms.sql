-- What: milliseconds between two times; NULL where one is missing
-- Parameters: since, until. Returns: Float64.
CREATE OR REPLACE FUNCTION elapsed_ms AS (since, until) -> (toUnixTimestamp64Micro(until) - toUnixTimestamp64Micro(since)) / 1000.0;
