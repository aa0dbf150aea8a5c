-- What: the successful deliveries of a period, each beside what a moderator had approved by then. Approved is what the
--   last decision before it left: a review's text; a correction's; of a review that tells no text the last correction
--   since the draft, and where there is none the draft, unless the review says that it was edited. A review whose
--   metadata give no decision counts as an approval unless there is a correction since the draft.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: time, session_id, moderator_id, decision (of the last decision), draft_hash, approved_hash, delivered_hash,
--   state: as_approved, differs, not_known (a hash is missing), after_rejection, not_reviewed.
CREATE MACRO deliveries(since, until) AS TABLE
WITH delivered AS MATERIALIZED (
    SELECT row_number() OVER () AS place, session_id, end_time, text_hash
    FROM processing_metrics
    WHERE end_time > since AND end_time <= until AND stage = 'user_delivery' AND success
),
-- Segments whose ids lie outside these bounds are passed over, whichever side the join is built on.
bounds AS (
    SELECT min(session_id) AS low, max(session_id) AS high FROM delivered
),
-- '' and 0 stand for what was not told: arg_max leaves NULL out.
told AS (
    SELECT
        session_id, end_time AS time, stage = 'ai_processing' AS is_draft, false AS is_correction,
        coalesce(lower(decision), '') AS decision, coalesce(moderator_id, 0) AS moderator_id, coalesce(text_hash, '') AS hash
    FROM processing_metrics
    WHERE session_id IN (SELECT session_id FROM delivered) AND stage IN ('ai_processing', 'admin_review') AND success
        AND session_id BETWEEN (SELECT low FROM bounds) AND (SELECT high FROM bounds)
    UNION ALL
    SELECT
        session_id, timestamp, false, true, CASE WHEN correction_type = 'rejection' THEN 'rejected' ELSE 'edited' END,
        coalesce(admin_user_id, 0), coalesce(corrected_hash, '')
    FROM correction_metrics
    WHERE session_id IN (SELECT session_id FROM delivered)
),
summed AS (
    SELECT
        d.place,
        max(t.time) FILTER (is_draft) AS drafted_at,
        arg_max(t.hash, t.time) FILTER (is_draft) AS draft_hash,
        max(t.time) FILTER (is_correction) AS corrected_at,
        max(t.time) FILTER (is_correction AND decision = 'edited') AS edited_at,
        arg_max(t.hash, t.time) FILTER (is_correction AND decision = 'edited') AS edit_hash,
        max(t.time) FILTER (NOT is_draft AND decision IN ('approved', 'edited', 'rejected')) AS decided_at,
        max(t.time) FILTER (NOT is_draft AND decision = '') AS reviewed_at
    FROM delivered AS d
    JOIN told AS t ON t.session_id = d.session_id AND t.time <= d.end_time
    GROUP BY d.place
),
-- The last decision: a review that says nothing of it counts where no correction was made since the draft.
judged AS (
    SELECT
        s.*,
        CASE WHEN corrected_at >= coalesce(drafted_at, corrected_at) THEN decided_at ELSE greatest(decided_at, reviewed_at) END AS last_at
    FROM summed AS s
),
last_ones AS (
    SELECT
        d.place, arg_max(t.decision, t.is_correction) AS decision, arg_max(t.moderator_id, t.is_correction) AS moderator_id,
        arg_max(t.hash, t.is_correction) AS hash, bool_or(t.is_correction) AS is_correction
    FROM delivered AS d
    JOIN judged AS j USING (place)
    JOIN told AS t ON t.session_id = d.session_id AND t.time = j.last_at
    WHERE NOT t.is_draft AND t.decision IN ('', 'approved', 'edited', 'rejected')
    GROUP BY d.place
),
compared AS (
    SELECT
        d.end_time AS time, d.session_id, nullif(l.moderator_id, 0) AS moderator_id,
        CASE WHEN l.decision = '' THEN 'approved' ELSE l.decision END AS decision, nullif(j.draft_hash, '') AS draft_hash,
        CASE
            WHEN l.decision = 'rejected' THEN NULL
            WHEN l.hash <> '' OR l.is_correction THEN nullif(l.hash, '')
            WHEN j.edited_at >= coalesce(j.drafted_at, j.edited_at) THEN nullif(j.edit_hash, '')
            WHEN l.decision IN ('', 'approved') THEN nullif(j.draft_hash, '')
        END AS approved_hash,
        d.text_hash AS delivered_hash
    FROM delivered AS d
    LEFT JOIN judged AS j USING (place)
    LEFT JOIN last_ones AS l USING (place)
)
SELECT
    *,
    CASE
        WHEN decision IS NULL THEN 'not_reviewed'
        WHEN decision = 'rejected' THEN 'after_rejection'
        WHEN delivered_hash IS NULL OR approved_hash IS NULL THEN 'not_known'
        WHEN delivered_hash = approved_hash THEN 'as_approved'
        ELSE 'differs'
    END AS state
FROM compared;
