-- What: running as questions see it. Returns: the columns of the table, times as TIMESTAMP in UTC.
CREATE VIEW running AS SELECT * FROM hot.running;
