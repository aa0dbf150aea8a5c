-- What: how many drafts wait for a moderator, and since when the oldest does: open sessions whose ai_processing ended
--   and in which nothing later has begun.
-- Parameters: now (TIMESTAMP, UTC), timeout_h (a session without activity for so long is abandoned).
-- Returns: waiting, oldest_since (NULL where nothing waits).
WITH drafted AS (
    SELECT session_id, max(end_time) AS waiting_since
    FROM processing_metrics
    WHERE stage = 'ai_processing' AND end_time > hours_before($now, $timeout_h)
    GROUP BY session_id
),
latest AS (
    SELECT session_id, max(start_time) AS begun_at
    FROM processing_metrics
    WHERE end_time > hours_before($now, $timeout_h)
    GROUP BY session_id
),
begun AS (
    SELECT session_id, max(start_time) AS begun_at FROM running GROUP BY session_id
)
SELECT count(*) AS waiting, min(d.waiting_since) AS oldest_since
FROM drafted AS d
JOIN (SELECT session_id FROM sessions WHERE ended_at IS NULL) AS s USING (session_id)
JOIN latest AS l USING (session_id)
LEFT JOIN begun AS b USING (session_id)
WHERE l.begun_at < d.waiting_since AND (b.begun_at IS NULL OR b.begun_at < d.waiting_since);
