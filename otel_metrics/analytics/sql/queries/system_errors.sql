-- What: log lines of level error and critical in a window, by what happened.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: level, event_type, count, last_at; the most frequent first.
SELECT level, event_type, count(*) AS count, max(timestamp) AS last_at
FROM logs
WHERE timestamp > $since AND timestamp <= $until AND level IN ('error', 'critical')
GROUP BY level, event_type
ORDER BY count DESC, level, event_type;
