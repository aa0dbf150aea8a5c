-- What: the processes that wrote, by host and service. A restart is a process that began in the window after others of the
--   same host and service of which none recorded anything any more: workers side by side are no restarts of each other.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: host, service, processes (begun until now), restarts, started_at and pid of the last one, last_seen_at (the last
--   that it recorded in the window; NULL for nothing); the last started first.
WITH named AS (
    SELECT
        process, started_at, pid, host,
        coalesce(json_text(resource, 'service.name'), '') AS service
    FROM processes
    WHERE started_at <= $until
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
),
ordered AS (
    SELECT
        n.host, n.service, n.started_at, n.pid, s.moment, row_number() OVER in_order AS place,
        max(s.moment) OVER (in_order ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS others_seen_at
    FROM named AS n
    LEFT JOIN seen AS s USING (process)
    WINDOW in_order AS (PARTITION BY n.host, n.service ORDER BY n.started_at, n.process)
)
SELECT
    host, service, count(*) AS processes,
    count(*) FILTER (WHERE place > 1 AND started_at > $since AND coalesce(others_seen_at <= started_at, true)) AS restarts,
    max(started_at) AS started_at, max_by(pid, place) AS pid, max_by(moment, place) AS last_seen_at
FROM ordered
GROUP BY host, service
ORDER BY max(started_at) DESC, host, service;
