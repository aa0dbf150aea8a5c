-- What: nothing: when a process began is told to the local store alone. Returns: the columns of the table, no rows.
CREATE OR REPLACE VIEW processes AS
SELECT
    ''::String AS process, makeDateTime64(1970, 1, 1, 0, 0, 0, 0, 6, 'UTC') AS started_at, 0::Int64 AS pid, ''::String AS host,
    ''::String AS resource, 0::Int64 AS forwards
WHERE false;
