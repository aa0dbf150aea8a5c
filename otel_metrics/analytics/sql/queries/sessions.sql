-- What: the sessions that were active in a window, newest first.
-- Parameters: since, until (TIMESTAMP, UTC), timeout_h (hours without activity after which an open one is abandoned),
--   session (an id, or NULL for all), limit.
-- Returns: session_id, user_id, chat_id, started_at, last_activity_at, ended_at, outcome (NULL: open), duration_ms,
--   stages, failed_stages, corrections, current_stage (the last one begun), metadata.
WITH stages AS (
    SELECT
        session_id, min(start_time) AS first_start, max(end_time) AS last_end, count(*) AS stages,
        count(*) FILTER (NOT success) AS failed_stages, arg_max(stage, start_time) AS last_stage, max(start_time) AS last_start
    FROM processing_metrics
    GROUP BY session_id
),
begun AS (
    SELECT session_id, arg_max(stage, start_time) AS stage, max(start_time) AS start_time FROM running GROUP BY session_id
),
corrections AS (
    SELECT session_id, count(*) AS corrections, max(timestamp) AS last_correction FROM correction_metrics GROUP BY session_id
),
joined AS (
    SELECT
        s.session_id, s.user_id, s.chat_id, s.metadata, s.ended_at, s.outcome,
        least(s.started_at, coalesce(st.first_start, s.started_at)) AS started_at,
        greatest(
            s.started_at, coalesce(st.last_end, s.started_at), coalesce(c.last_correction, s.started_at),
            coalesce(b.start_time, s.started_at), coalesce(s.ended_at, s.started_at)
        ) AS last_activity_at,
        coalesce(st.stages, 0) AS stages, coalesce(st.failed_stages, 0) AS failed_stages,
        coalesce(c.corrections, 0) AS corrections,
        CASE WHEN b.start_time >= coalesce(st.last_start, b.start_time) THEN b.stage ELSE st.last_stage END AS current_stage
    FROM sessions AS s
    LEFT JOIN stages AS st USING (session_id)
    LEFT JOIN begun AS b USING (session_id)
    LEFT JOIN corrections AS c USING (session_id)
)
SELECT
    session_id, user_id, chat_id, started_at, last_activity_at, ended_at,
    CASE
        WHEN ended_at IS NOT NULL THEN outcome
        WHEN last_activity_at < $until - to_seconds($timeout_h * 3600) THEN 'abandoned'
    END AS outcome,
    CASE WHEN stages > 0 OR ended_at IS NOT NULL THEN (epoch_us(last_activity_at) - epoch_us(started_at)) / 1000.0 END AS duration_ms,
    stages, failed_stages, corrections, current_stage, metadata
FROM joined
WHERE (session_id = $session OR ($session IS NULL AND last_activity_at > $since AND started_at <= $until))
ORDER BY started_at DESC, session_id
LIMIT $limit;
