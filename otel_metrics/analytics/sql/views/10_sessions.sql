-- What: sessions as questions see them. Returns: the columns of the table, times as TIMESTAMP in UTC.
CREATE VIEW sessions AS SELECT * FROM hot.sessions;
