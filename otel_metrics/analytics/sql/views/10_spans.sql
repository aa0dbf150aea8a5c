-- What: spans as questions see it. Returns: the columns of the table, times as TIMESTAMP in UTC.
CREATE VIEW spans AS SELECT * FROM hot.spans;
