-- What: sessions as questions see it, hot rows and cold ones.
-- Returns: the columns of the table, times as TIMESTAMP in UTC, then those drawn out of its metadata.
CREATE VIEW sessions AS SELECT * FROM hot.sessions UNION ALL SELECT * FROM cold.sessions;
