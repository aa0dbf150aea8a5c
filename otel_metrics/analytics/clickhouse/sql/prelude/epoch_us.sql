-- What: a time as microseconds
-- Parameters: moment (DateTime64). Returns: Int64.
CREATE OR REPLACE FUNCTION epoch_us AS (moment) -> toUnixTimestamp64Micro(moment);
