-- What: the times of a group's rows that meet a condition.
-- Parameters: moment, flag. Returns: list; NULL without any, where ClickHouse says empty.
CREATE OR REPLACE FUNCTION times_where AS (moment, flag) -> groupArrayIf(moment, flag);
