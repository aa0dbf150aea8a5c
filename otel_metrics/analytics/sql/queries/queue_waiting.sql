-- What: drafts that wait for a moderator: open sessions whose ai_processing ended and in which nothing later has begun.
--   Only stages of open sessions are read, and none that ended before the timeout: an older draft waits no longer.
-- Parameters: now (TIMESTAMP, UTC), timeout_h (a session without activity for so long is abandoned).
-- Returns: session_id, user_id, chat_id, waiting_since, age_ms; the oldest first.
WITH open AS MATERIALIZED (
    SELECT session_id, user_id, chat_id FROM sessions WHERE ended_at IS NULL
),
stages AS (
    SELECT session_id, max(end_time) FILTER (WHERE stage = 'ai_processing') AS waiting_since, max(start_time) AS last_start
    FROM processing_metrics
    WHERE (end_time > hours_before($now, $timeout_h) OR end_time IS NULL)
        AND session_id IN (SELECT session_id FROM open)
    GROUP BY session_id
),
begun AS (
    SELECT session_id, max(start_time) AS start_time FROM running GROUP BY session_id
)
SELECT o.session_id, o.user_id, o.chat_id, s.waiting_since, elapsed_ms(s.waiting_since, instant($now)) AS age_ms
FROM open AS o
JOIN stages AS s USING (session_id)
LEFT JOIN begun AS b USING (session_id)
WHERE s.last_start < s.waiting_since AND (b.start_time IS NULL OR b.start_time < s.waiting_since)
ORDER BY s.waiting_since;
