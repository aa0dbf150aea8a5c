-- What: the successful deliveries of a period, each beside what a moderator had approved by then. Approved is what the
--   last decision before it left: a review's text; a correction's; of a review that tells no text the last correction
--   since the draft, and where there is none the draft, unless the review says that it was edited. A review whose
--   metadata give no decision counts as an approval unless there is a correction since the draft.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: time, session_id, moderator_id, decision (of the last decision), draft_hash, approved_hash, delivered_hash,
--   state: as_approved, differs, not_known (a hash is missing), after_rejection, not_reviewed.
CREATE MACRO deliveries(since, until) AS TABLE
WITH delivered AS MATERIALIZED (
    SELECT metric_id, session_id, end_time, text_hash
    FROM processing_metrics
    WHERE end_time > since AND end_time <= until AND stage = 'user_delivery' AND success
),
told AS (
    SELECT session_id, end_time AS time, stage AS kind, moderator_id, lower(decision) AS decision, text_hash AS hash
    FROM processing_metrics
    WHERE session_id IN (SELECT session_id FROM delivered) AND stage IN ('ai_processing', 'admin_review') AND success
    UNION ALL
    SELECT
        session_id, timestamp, 'correction', nullif(admin_user_id, 0),
        CASE WHEN correction_type = 'rejection' THEN 'rejected' ELSE 'edited' END, corrected_hash
    FROM correction_metrics
    WHERE session_id IN (SELECT session_id FROM delivered)
),
summed AS (
    SELECT
        d.metric_id, d.session_id, d.end_time, d.text_hash,
        arg_max({'time': t.time, 'hash': t.hash}, t.time) FILTER (t.kind = 'ai_processing') AS draft,
        arg_max({'time': t.time, 'hash': t.hash}, t.time) FILTER (t.kind = 'correction' AND t.decision = 'edited') AS edit,
        max(t.time) FILTER (t.kind = 'correction') AS corrected_at,
        arg_max({'who': t.moderator_id, 'decision': t.decision, 'kind': t.kind, 'hash': t.hash}, t.time)
            FILTER (t.decision IN ('approved', 'edited', 'rejected')) AS decided,
        arg_max({'who': t.moderator_id, 'decision': coalesce(t.decision, 'approved'), 'kind': t.kind, 'hash': t.hash}, t.time)
            FILTER (t.kind <> 'ai_processing' AND coalesce(t.decision, 'approved') IN ('approved', 'edited', 'rejected')) AS reviewed
    FROM delivered AS d
    LEFT JOIN told AS t ON t.session_id = d.session_id AND t.time <= d.end_time
    GROUP BY ALL
),
judged AS (
    SELECT *, CASE WHEN corrected_at >= coalesce(draft.time, corrected_at) THEN decided ELSE reviewed END AS last
    FROM summed
),
compared AS (
    SELECT
        *,
        CASE
            WHEN last.decision = 'rejected' THEN NULL
            WHEN last.hash IS NOT NULL OR last.kind = 'correction' THEN last.hash
            WHEN edit.time >= coalesce(draft.time, edit.time) THEN edit.hash
            WHEN last.decision = 'approved' THEN draft.hash
        END AS approved_hash
    FROM judged
)
SELECT
    end_time AS time, session_id, last.who AS moderator_id, last.decision AS decision, draft.hash AS draft_hash, approved_hash,
    text_hash AS delivered_hash,
    CASE
        WHEN last IS NULL THEN 'not_reviewed'
        WHEN last.decision = 'rejected' THEN 'after_rejection'
        WHEN text_hash IS NULL OR approved_hash IS NULL THEN 'not_known'
        WHEN text_hash = approved_hash THEN 'as_approved'
        ELSE 'differs'
    END AS state
FROM compared;
