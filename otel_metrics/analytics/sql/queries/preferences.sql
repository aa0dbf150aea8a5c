-- What: the corrections of a period as pairs of texts, with the question before each and what had drafted it.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: kind (pairs, rejections, or not_captured where a text is missing), prompt (NULL: not captured), chosen, rejected,
--   session_id, correction_type, model, prompt_version; in order of time.
WITH corrections AS MATERIALIZED (
    SELECT
        row_number() OVER (ORDER BY timestamp, correction_id) AS place, session_id, timestamp, correction_type, model,
        prompt_version, original_text, corrected_text,
        CASE
            WHEN correction_type = 'rejection' THEN 'rejections'
            WHEN coalesce(original_text, '') = '' OR coalesce(corrected_text, '') = '' THEN 'not_captured'
            ELSE 'pairs'
        END AS kind
    FROM correction_metrics
    WHERE timestamp > $since AND timestamp <= $until
),
pairs AS (
    SELECT place, session_id, timestamp FROM corrections WHERE kind = 'pairs'
),
stages AS (
    SELECT
        session_id, stage, end_time, coalesce(model, '') AS model, coalesce(prompt_version, '') AS prompt_version,
        CASE WHEN stage = 'query_received' THEN json_text(metadata, 'text') END AS question
    FROM processing_metrics
    WHERE session_id IN (SELECT session_id FROM pairs) AND stage IN ('query_received', 'ai_processing') AND success
        AND session_id BETWEEN (SELECT min(session_id) FROM pairs) AND (SELECT max(session_id) FROM pairs)
),
before AS (
    SELECT
        p.place, max_by(s.question, s.end_time) AS question,
        max_by(s.model, s.end_time) FILTER (WHERE s.stage = 'ai_processing') AS model,
        max_by(s.prompt_version, s.end_time) FILTER (WHERE s.stage = 'ai_processing') AS prompt_version
    FROM pairs AS p
    JOIN stages AS s ON s.session_id = p.session_id AND s.end_time <= p.timestamp
    GROUP BY p.place
)
SELECT
    c.kind, b.question AS prompt, c.corrected_text AS chosen, c.original_text AS rejected, c.session_id, c.correction_type,
    coalesce(c.model, nullif(b.model, '')) AS model, coalesce(c.prompt_version, nullif(b.prompt_version, '')) AS prompt_version
FROM corrections AS c
LEFT JOIN before AS b USING (place)
ORDER BY c.place;
