-- What: the times of a group's rows that meet a condition.
-- Parameters: moment, flag. Returns: list; NULL without any, where ClickHouse says empty.
CREATE MACRO times_where(moment, flag) AS list(moment) FILTER (WHERE flag);
