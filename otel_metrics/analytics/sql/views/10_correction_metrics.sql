-- What: correction_metrics as questions see it. Returns: the columns of the table, times as TIMESTAMP in UTC.
CREATE VIEW correction_metrics AS SELECT * FROM hot.correction_metrics;
