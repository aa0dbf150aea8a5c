-- What: drafts that wait for a moderator: open sessions whose ai_processing ended and in which nothing later has begun.
-- Parameters: now (TIMESTAMP, UTC), timeout_h (a session without activity for so long is abandoned).
-- Returns: session_id, user_id, chat_id, waiting_since, age_ms; the oldest first.
WITH drafted AS (
    SELECT session_id, max(end_time) AS waiting_since
    FROM processing_metrics
    WHERE end_time > $now::TIMESTAMP - to_seconds($timeout_h * 3600) AND stage = 'ai_processing'
    GROUP BY session_id
)
SELECT s.session_id, s.user_id, s.chat_id, d.waiting_since, (epoch_us($now::TIMESTAMP) - epoch_us(d.waiting_since)) / 1000.0 AS age_ms
FROM drafted AS d
JOIN sessions AS s USING (session_id)
WHERE s.ended_at IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM processing_metrics AS later
        WHERE later.session_id = d.session_id AND later.start_time >= d.waiting_since
    )
    AND NOT EXISTS (
        SELECT 1 FROM running AS begun WHERE begun.session_id = d.session_id AND begun.start_time >= d.waiting_since
    )
ORDER BY d.waiting_since;
