-- What: processing_metrics as questions see it. Returns: the columns of the table, times as TIMESTAMP in UTC.
CREATE VIEW processing_metrics AS SELECT * FROM hot.processing_metrics;
