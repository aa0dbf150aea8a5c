-- What: the processes that wrote, by host and service. A restart is a process that began in the window after another one
--   of the same host and service.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: host, service, processes (begun until now), restarts, started_at and pid of the last one, last_seen_at (the last
--   that it recorded in the window; NULL for nothing); the last started first.
WITH named AS (
    SELECT
        process, started_at, pid, host,
        coalesce(json_extract_string(CASE WHEN json_valid(resource) THEN resource END, '$."service.name"'), '') AS service
    FROM processes
    WHERE started_at <= $until
),
ordered AS (
    SELECT
        process, started_at, pid, host, service,
        row_number() OVER (PARTITION BY host, service ORDER BY started_at, process) AS place
    FROM named
),
signs AS (
    SELECT process, max(end_time) AS moment FROM processing_metrics WHERE end_time > $since AND end_time <= $until GROUP BY process
    UNION ALL
    SELECT process, max(end_time) FROM spans WHERE end_time > $since AND end_time <= $until GROUP BY process
    UNION ALL
    SELECT process, max(timestamp) FROM system_metrics WHERE timestamp > $since AND timestamp <= $until GROUP BY process
    UNION ALL
    SELECT process, max(timestamp) FROM correction_metrics WHERE timestamp > $since AND timestamp <= $until GROUP BY process
),
seen AS (
    SELECT process, max(moment) AS moment FROM signs GROUP BY process
)
SELECT
    o.host, o.service, count(*) AS processes, count(*) FILTER (o.place > 1 AND o.started_at > $since) AS restarts,
    max(o.started_at) AS started_at, arg_max(o.pid, o.place) AS pid, arg_max(s.moment, o.place) AS last_seen_at
FROM ordered AS o
LEFT JOIN seen AS s USING (process)
GROUP BY o.host, o.service
ORDER BY started_at DESC, host, service;
