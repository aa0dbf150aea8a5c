-- What: processes as questions see it. Returns: the columns of the table, times as TIMESTAMP in UTC.
CREATE VIEW processes AS SELECT * FROM hot.processes;
