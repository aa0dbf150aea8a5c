-- What: a row for each time of a list
-- Parameters: moments. Returns: DateTime64(6), UTC.
CREATE OR REPLACE FUNCTION each_time AS (moments) -> arrayJoin(CAST(moments, 'Array(DateTime64(6, \'UTC\'))'));
