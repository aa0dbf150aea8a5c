-- What: how many sessions of a window needed a correction, of those of one intent, model or prompt. A rejection is none.
-- Parameters: since, until (TIMESTAMP, UTC), intent, model, prompt (each NULL: any). A session has what one of its
--   stages or corrections in the window says, and the intent and prompt of its own row.
-- Returns: sessions, corrected.
WITH touched AS (
    SELECT session_id, intent, model, prompt_version, false AS corrected
    FROM processing_metrics WHERE end_time > $since AND end_time <= $until
    UNION ALL
    SELECT session_id, intent, model, prompt_version, correction_type <> 'rejection'
    FROM correction_metrics WHERE timestamp > $since AND timestamp <= $until
),
by_session AS (
    SELECT
        session_id, bool_or(corrected) AS corrected, coalesce(bool_or(intent = $intent), false) AS of_intent,
        coalesce(bool_or(model = $model), false) AS of_model, coalesce(bool_or(prompt_version = $prompt), false) AS of_prompt
    FROM touched
    GROUP BY session_id
),
said AS (
    SELECT session_id, bool_or(intent = $intent) AS of_intent, bool_or(prompt_version = $prompt) AS of_prompt
    FROM sessions
    WHERE (intent = $intent OR prompt_version = $prompt) AND started_at <= $until
    GROUP BY session_id
)
SELECT count(*) AS sessions, count(*) FILTER (WHERE b.corrected) AS corrected
FROM by_session AS b
LEFT JOIN said AS s USING (session_id)
WHERE ($intent IS NULL OR b.of_intent OR s.of_intent) AND ($model IS NULL OR b.of_model)
    AND ($prompt IS NULL OR b.of_prompt OR s.of_prompt);
