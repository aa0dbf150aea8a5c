-- What: system_metrics as questions see it, hot rows and cold ones.
-- Returns: the columns of the table, times as TIMESTAMP in UTC, then those drawn out of its metadata.
CREATE VIEW system_metrics AS SELECT * FROM hot.system_metrics UNION ALL SELECT * FROM cold.system_metrics;
