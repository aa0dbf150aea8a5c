-- What: sessions of a window and how many were corrected, once by model, by prompt version, by intent and by day.
-- Parameters: since, until, back (how far back drafts and sessions are looked for; TIMESTAMP, UTC), zone.
-- Returns: dimension ('model', 'prompt_version', 'intent', 'day'), name (NULL: not known), sessions, corrected.
WITH happened AS (
    SELECT key_of(session_id) AS session, end_time AS happened_at, NULL AS correction_type, NULL AS model, NULL AS prompt_version, NULL AS intent
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until
    UNION ALL
    SELECT key_of(session_id), timestamp, correction_type, model, prompt_version, intent
    FROM correction_metrics
    WHERE timestamp > $since AND timestamp <= $until
),
touched AS (
    SELECT
        session, min(happened_at) AS first_at, coalesce(bool_or(correction_type <> 'rejection'), false) AS corrected,
        max(model) AS model, max(prompt_version) AS prompt_version, max(intent) AS intent
    FROM happened
    GROUP BY session
),
cases AS (
    SELECT
        t.corrected, coalesce(d.model, t.model) AS model,
        coalesce(d.prompt_version, t.prompt_version, s.prompt_version) AS prompt_version,
        coalesce(s.intent, d.intent, t.intent) AS intent,
        strftime(timezone($zone, timezone('UTC', t.first_at)), '%Y-%m-%d') AS day
    FROM touched AS t
    LEFT JOIN last_drafts($back, $until) AS d USING (session)
    LEFT JOIN session_facts($back, $until) AS s USING (session)
)
SELECT
    CASE
        WHEN grouping(model) = 0 THEN 'model'
        WHEN grouping(prompt_version) = 0 THEN 'prompt_version'
        WHEN grouping(intent) = 0 THEN 'intent'
        ELSE 'day'
    END AS dimension,
    coalesce(model, prompt_version, intent, day) AS name, count(*) AS sessions, count(*) FILTER (corrected) AS corrected
FROM cases
GROUP BY GROUPING SETS ((model), (prompt_version), (intent), (day))
ORDER BY dimension, CASE WHEN dimension = 'day' THEN 0 ELSE -count(*) END, name;
