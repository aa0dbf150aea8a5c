-- What: logs as questions see it. Returns: the columns of the table, times as TIMESTAMP in UTC.
CREATE VIEW logs AS SELECT * FROM hot.logs;
