-- What: the deliveries of a period that stand in one way to what was approved, newest first.
-- Parameters: since, until (TIMESTAMP, UTC), state (see the macro deliveries), limit (NULL: all).
-- Returns: time, session_id, moderator_id, decision, draft_hash, approved_hash, delivered_hash.
WITH chosen AS MATERIALIZED (
    SELECT time, session, moderator_id, decision, draft, approved, delivered
    FROM deliveries($since, $until)
    WHERE state = $state
    QUALIFY $limit IS NULL OR row_number() OVER (ORDER BY time DESC, session) <= $limit
),
-- The ids and hashes behind the numbers.
named AS MATERIALIZED (
    SELECT DISTINCT session_id, text_hash, NULL::VARCHAR AS corrected_hash
    FROM processing_metrics
    WHERE key_of(session_id) IN (SELECT session FROM chosen)
    UNION
    SELECT session_id, NULL, corrected_hash
    FROM correction_metrics
    WHERE key_of(session_id) IN (SELECT session FROM chosen)
),
ids AS (SELECT DISTINCT key_of(session_id) AS session, session_id FROM named),
texts AS (
    SELECT DISTINCT key_of(hash) AS text, hash
    FROM (SELECT text_hash AS hash FROM named UNION ALL SELECT corrected_hash FROM named)
    WHERE hash IS NOT NULL
)
SELECT
    c.time, i.session_id, c.moderator_id, c.decision, d.hash AS draft_hash, a.hash AS approved_hash, s.hash AS delivered_hash
FROM chosen AS c
JOIN ids AS i USING (session)
LEFT JOIN texts AS d ON d.text = c.draft
LEFT JOIN texts AS a ON a.text = c.approved
LEFT JOIN texts AS s ON s.text = c.delivered
ORDER BY c.time DESC, i.session_id;
