-- What: logs as questions see it, hot rows and cold ones.
-- Returns: the columns of the table, times as TIMESTAMP in UTC, then those drawn out of its metadata.
CREATE VIEW logs AS SELECT * FROM hot.logs UNION ALL SELECT * FROM cold.logs;
