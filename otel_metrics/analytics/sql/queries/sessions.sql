-- What: the sessions that were active in a period, newest first: those in which a stage was at work, a correction was
--   made, or which began or ended in it. Only rows of such sessions are read and summed up.
-- Parameters: since, until, now (TIMESTAMP, UTC), timeout_h (hours without activity after which an open one is
--   abandoned), session (an id, or NULL for all), limit; and, NULL where any will do: user, chat, outcome ('open' for
--   none), stage, failed (whether a stage failed), error (its error_type, or a part of its message), longer_ms,
--   shorter_ms (of an open session the time since its start), corrected (by more than a rejection), waiting (for a
--   moderator).
-- Returns: session_id, user_id, chat_id, started_at, last_activity_at, ended_at, outcome (NULL: open), duration_ms,
--   stages, failed_stages, corrections, current_stage (the last one begun), metadata.
WITH touched AS (
    SELECT session_id FROM processing_metrics WHERE $session IS NULL AND end_time > $since AND start_time <= $until
    UNION
    SELECT session_id FROM correction_metrics WHERE $session IS NULL AND timestamp > $since AND timestamp <= $until
    UNION
    SELECT session_id FROM running WHERE $session IS NULL AND start_time > $since AND start_time <= $until
    UNION
    SELECT session_id FROM sessions
    WHERE $session IS NULL AND ((started_at > $since AND started_at <= $until) OR (ended_at > $since AND ended_at <= $until))
),
found AS MATERIALIZED (
    SELECT session_id, user_id, chat_id, metadata, started_at, ended_at, outcome
    FROM sessions
    WHERE (session_id = $session OR ($session IS NULL AND session_id IN (SELECT session_id FROM touched)))
        AND ($user IS NULL OR user_id = $user) AND ($chat IS NULL OR chat_id = $chat)
),
stages AS (
    SELECT
        session_id, min(start_time) AS first_start, max(end_time) AS last_end, count(*) AS stages,
        count(*) FILTER (WHERE NOT success) AS failed_stages, max_by(stage, start_time) AS last_stage, max(start_time) AS last_start,
        max(end_time) FILTER (WHERE stage = 'ai_processing') AS drafted_at, coalesce(bool_or(stage = $stage), false) AS has_stage,
        coalesce(bool_or(NOT success AND (error_type = $error OR contains(lower(error_message), lower($error)))), false) AS has_error
    FROM processing_metrics
    WHERE session_id IN (SELECT session_id FROM found)
    GROUP BY session_id
),
begun AS (
    SELECT
        session_id, max_by(stage, start_time) AS stage, max(start_time) AS start_time, bool_or(stage = $stage) AS has_stage
    FROM running
    WHERE session_id IN (SELECT session_id FROM found)
    GROUP BY session_id
),
corrections AS (
    SELECT
        session_id, count(*) AS corrections, max(timestamp) AS last_correction, bool_or(correction_type <> 'rejection') AS corrected
    FROM correction_metrics
    WHERE session_id IN (SELECT session_id FROM found)
    GROUP BY session_id
),
joined AS (
    SELECT
        s.session_id AS session_id, s.user_id AS user_id, s.chat_id AS chat_id, s.metadata AS metadata, s.ended_at AS ended_at,
        s.outcome AS outcome,
        least(s.started_at, coalesce(st.first_start, s.started_at)) AS started_at,
        greatest(
            s.started_at, coalesce(st.last_end, s.started_at), coalesce(c.last_correction, s.started_at),
            coalesce(b.start_time, s.started_at), coalesce(s.ended_at, s.started_at)
        ) AS last_activity_at,
        coalesce(st.stages, 0) AS stages, coalesce(st.failed_stages, 0) AS failed_stages,
        coalesce(c.corrections, 0) AS corrections, coalesce(c.corrected, false) AS corrected,
        CASE WHEN b.start_time >= coalesce(st.last_start, b.start_time) THEN b.stage ELSE st.last_stage END AS current_stage,
        coalesce(st.has_stage, false) OR coalesce(b.has_stage, false) AS has_stage, coalesce(st.has_error, false) AS has_error,
        coalesce(
            s.ended_at IS NULL AND st.drafted_at > hours_before($now, $timeout_h)
            AND st.last_start < st.drafted_at AND (b.start_time IS NULL OR b.start_time < st.drafted_at), false
        ) AS waiting
    FROM found AS s
    LEFT JOIN stages AS st USING (session_id)
    LEFT JOIN begun AS b USING (session_id)
    LEFT JOIN corrections AS c USING (session_id)
),
told AS (
    SELECT
        * REPLACE (
            CASE
                WHEN ended_at IS NOT NULL THEN outcome
                WHEN last_activity_at < hours_before($now, $timeout_h) THEN 'abandoned'
            END AS outcome
        ),
        CASE WHEN stages > 0 OR ended_at IS NOT NULL THEN elapsed_ms(started_at, last_activity_at) END AS duration_ms
    FROM joined
)
SELECT
    session_id, user_id, chat_id, started_at, last_activity_at, ended_at, outcome, duration_ms, stages, failed_stages,
    corrections, current_stage, metadata
FROM told
WHERE ($outcome IS NULL OR coalesce(outcome, 'open') = $outcome)
    AND ($stage IS NULL OR has_stage)
    AND ($failed IS NULL OR (failed_stages > 0) = $failed)
    AND ($error IS NULL OR has_error)
    AND ($longer_ms IS NULL OR coalesce(CASE WHEN outcome IS NULL THEN elapsed_ms(started_at, instant($now)) ELSE duration_ms END > $longer_ms, false))
    AND ($shorter_ms IS NULL OR coalesce(CASE WHEN outcome IS NULL THEN elapsed_ms(started_at, instant($now)) ELSE duration_ms END < $shorter_ms, false))
    AND ($corrected IS NULL OR corrected = $corrected)
    AND ($waiting IS NULL OR waiting = $waiting)
ORDER BY started_at DESC, session_id
LIMIT $limit;
