-- What: system_metrics as questions see it. Returns: the columns of the table, times as TIMESTAMP in UTC.
CREATE VIEW system_metrics AS SELECT * FROM hot.system_metrics;
