-- What: lines of processes that began to write into processes.
-- Parameters: lines (a JSON array of process lines), base (unused). Returns: nothing.
INSERT INTO processes (process, started_at, pid, host, resource)
SELECT value ->> 'process', value ->> 'timestamp', value ->> 'pid', value ->> 'host', value -> 'resource'
FROM json_each(:lines)
WHERE :base IS NOT NULL
ON CONFLICT (process) DO NOTHING;
