-- What: stages that have begun and not ended.
-- Parameters: now (TIMESTAMP, UTC).
-- Returns: session_id, user_id, chat_id, stage, started_at, age_ms, process, pid, host; the oldest first.
SELECT
    r.session_id, r.user_id, r.chat_id, r.stage, r.start_time AS started_at,
    (epoch_us(instant($now)) - epoch_us(r.start_time)) / 1000.0 AS age_ms, r.process, p.pid, p.host
FROM running AS r
LEFT JOIN processes AS p USING (process)
ORDER BY r.start_time;
