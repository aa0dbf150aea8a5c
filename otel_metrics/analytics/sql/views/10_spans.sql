-- What: spans as questions see it, hot rows and cold ones.
-- Returns: the columns of the table, times as TIMESTAMP in UTC, then those drawn out of its metadata.
CREATE VIEW spans AS SELECT * FROM hot.spans UNION ALL SELECT * FROM cold.spans;
