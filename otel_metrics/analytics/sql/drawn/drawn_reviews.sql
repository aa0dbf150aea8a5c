-- What: the reviews of a window: admin_review stages, and what moderators corrected in sessions without a stage of theirs.
-- Parameters: since, until, back (how far back corrections of the same sessions are looked for; TIMESTAMP, UTC).
-- Returns: session (`key_of` its id), moderator_id (NULL: not told), decision ('approved', 'edited', 'rejected' or NULL), reviewed_at,
--   review_ms, message_id, corrected (the session has a correction or rejection by anybody).
-- A decision is the metadata's, where a review that was left `unfinished` or `escalated` to somebody else decided nothing;
-- else what the moderator did in the session; else an approval, where the stage succeeded and nobody corrected the session.
CREATE OR REPLACE TEMPORARY TABLE drawn_reviews AS
WITH stages AS (
    SELECT
        key_of(session_id) AS session, nullif(moderator_id, 0) AS moderator_id, decision, success, end_time AS reviewed_at,
        elapsed_ms(start_time, end_time) AS review_ms,
        nullif(json_text(metadata, 'message_id'), '') AS message_id
    FROM processing_metrics
    WHERE stage = 'admin_review' AND end_time > $since AND end_time <= $until
),
made AS (
    SELECT
        key_of(session_id) AS session, nullif(admin_user_id, 0) AS moderator_id, bool_or(correction_type = 'rejection') AS rejected,
        max(timestamp) AS reviewed_at, sum(processing_time_ms)::DOUBLE AS review_ms, min(nullif(message_id, '')) AS message_id
    FROM correction_metrics
    WHERE timestamp > $back AND timestamp <= $until
    GROUP BY ALL
),
touched AS (SELECT DISTINCT session FROM made)
SELECT
    s.session AS session, s.moderator_id AS moderator_id,
    CASE
        WHEN s.decision IN ('approved', 'edited', 'rejected') THEN s.decision
        WHEN s.decision IN ('unfinished', 'escalated') THEN NULL
        WHEN m.session IS NOT NULL THEN CASE WHEN m.rejected THEN 'rejected' ELSE 'edited' END
        WHEN s.success AND t.session IS NULL THEN 'approved'
    END AS decision,
    s.reviewed_at AS reviewed_at, s.review_ms AS review_ms, coalesce(s.message_id, m.message_id) AS message_id, t.session IS NOT NULL AS corrected
FROM stages AS s
LEFT JOIN made AS m ON m.session = s.session AND m.moderator_id IS NOT DISTINCT FROM s.moderator_id
LEFT JOIN touched AS t ON t.session = s.session
UNION ALL
SELECT m.session, m.moderator_id, CASE WHEN m.rejected THEN 'rejected' ELSE 'edited' END, m.reviewed_at, m.review_ms, m.message_id, true
FROM made AS m
ANTI JOIN stages AS s ON s.session = m.session AND s.moderator_id IS NOT DISTINCT FROM m.moderator_id
WHERE m.reviewed_at > $since;
