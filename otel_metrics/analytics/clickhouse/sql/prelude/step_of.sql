-- What: the beginning of the step of so many seconds that holds a time; a week begins on a Monday.
-- Parameters: moment, step_s. Returns: TIMESTAMP.
CREATE OR REPLACE FUNCTION step_of AS (moment, step_s) -> fromUnixTimestamp64Micro(intDiv(toUnixTimestamp64Micro(moment) - 946857600000000, toInt64(step_s * 1000000)) * toInt64(step_s * 1000000) + 946857600000000, 'UTC');
