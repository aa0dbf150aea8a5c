-- What: what moderators decided in a period. An admin_review that succeeded is a decision of its own where its metadata
--   say `decision` = approved, or where its session has no correction; else its corrections tell what was decided. One that
--   was left without a verdict (`unfinished`) decided nothing; one that was passed on (`escalated`) says so.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: time, session_id, moderator_id, decision (approved, edited, rejected, or another word of the metadata), kind
--   (the stage or the type of the correction), original_hash, result_hash (of the text that the decision left, if told).
CREATE MACRO decisions(since, until) AS TABLE
WITH reviews AS (
    SELECT session_id, end_time, moderator_id, lower(decision) AS decision, text_hash
    FROM processing_metrics
    WHERE end_time > since AND end_time <= until AND stage = 'admin_review' AND success
),
corrected AS (
    SELECT DISTINCT session_id
    FROM correction_metrics
    WHERE session_id IN (SELECT session_id FROM reviews WHERE decision IS DISTINCT FROM 'approved')
)
SELECT
    r.end_time AS time, r.session_id AS session_id, r.moderator_id AS moderator_id, coalesce(decision, 'approved') AS decision, 'admin_review' AS kind,
    NULL::VARCHAR AS original_hash, CASE WHEN decision IS DISTINCT FROM 'rejected' THEN text_hash END AS result_hash
FROM reviews AS r
LEFT JOIN corrected AS c ON c.session_id = r.session_id
WHERE decision = 'approved' OR decision = 'escalated' OR decision IS DISTINCT FROM 'unfinished' AND c.session_id IS NULL
UNION ALL
SELECT
    timestamp, session_id, nullif(admin_user_id, 0), CASE WHEN correction_type = 'rejection' THEN 'rejected' ELSE 'edited' END,
    correction_type, original_hash, CASE WHEN correction_type <> 'rejection' THEN corrected_hash END
FROM correction_metrics
WHERE timestamp > since AND timestamp <= until;
