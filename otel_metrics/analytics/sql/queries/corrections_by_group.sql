-- What: sessions of a window and how many were corrected, once by model, by prompt version, by intent and by day.
-- Parameters: since, until, back (how far back drafts and sessions are looked for; TIMESTAMP, UTC), zone.
-- Returns: dimension ('model', 'prompt_version', 'intent', 'day'), name (NULL: not known), sessions, corrected.
WITH made AS (
    SELECT
        key_of(session_id) AS session, min(timestamp) AS first_at, bool_or(correction_type <> 'rejection') AS corrected,
        max(model) AS model, max(prompt_version) AS prompt_version, max(intent) AS intent
    FROM correction_metrics
    WHERE timestamp > $since AND timestamp <= $until
    GROUP BY session
),
touched AS (
    SELECT
        coalesce(r.session, m.session) AS session, least(r.first_end, m.first_at) AS first_at, coalesce(m.corrected, false) AS corrected, m.model,
        m.prompt_version, m.intent
    FROM drawn_sessions AS r FULL JOIN made AS m ON m.session = r.session
),
cases AS (
    SELECT
        t.corrected, coalesce(d.model, t.model) AS model,
        coalesce(d.prompt_version, t.prompt_version, s.prompt_version) AS prompt_version,
        coalesce(s.intent, d.intent, t.intent) AS intent,
        local_time(t.first_at, $zone)::DATE AS day
    FROM touched AS t
    LEFT JOIN drawn_drafts AS d USING (session)
    LEFT JOIN drawn_facts AS s USING (session)
),
-- One small table for all groupings.
cells AS (
    SELECT model, prompt_version, intent, day, count(*) AS sessions, count(*) FILTER (WHERE corrected) AS corrected
    FROM cases
    GROUP BY model, prompt_version, intent, day
)
SELECT
    CASE
        WHEN grouping(model) = 0 THEN 'model'
        WHEN grouping(prompt_version) = 0 THEN 'prompt_version'
        WHEN grouping(intent) = 0 THEN 'intent'
        ELSE 'day'
    END AS dimension,
    coalesce(model, prompt_version, intent, day::VARCHAR) AS name, sum(sessions)::BIGINT AS sessions,
    sum(corrected)::BIGINT AS corrected
FROM cells
GROUP BY GROUPING SETS ((model), (prompt_version), (intent), (day))
ORDER BY dimension, CASE WHEN dimension = 'day' THEN 0 ELSE -sum(sessions) END, name;
