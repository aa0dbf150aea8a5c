-- What: the successful deliveries of a period, each beside what a moderator had approved by then. Approved is what the
--   last decision before it left: a review's text; a correction's; of a review that tells no text the last correction
--   since the draft, and where there is none the draft, unless the review says that it was edited. A review whose
--   metadata give no decision counts as an approval unless there is a correction since the draft.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: session (`key_of` its id), time, moderator_id, decision (the last one), draft, approved, delivered (`key_of` the
--   hashes of these texts), state: as_approved, differs, not_known (a hash is missing), after_rejection, not_reviewed.
-- A rank is 4 times the microsecond of a decision and what it was: 0 not told, 1 approved, 2 edited, 3 rejected. So the
-- greatest rank tells both, in half the memory. A text or moderator that was not told is 0, for arg_max leaves NULL out.
CREATE MACRO deliveries(since, until) AS TABLE
WITH sent AS NOT MATERIALIZED (
    SELECT session_id, end_time, text_hash
    FROM processing_metrics
    WHERE end_time > since AND end_time <= until AND stage = 'user_delivery' AND success
),
delivered AS MATERIALIZED (
    SELECT row_number() OVER () AS place, key_of(session_id) AS session, epoch_us(end_time) AS time, key_of(text_hash) AS text
    FROM sent
),
-- Segments whose ids lie outside these bounds are passed over, whichever side the join is built on.
bounds AS (
    SELECT min(session_id) AS low, max(session_id) AS high FROM sent
),
stages AS NOT MATERIALIZED (
    SELECT
        key_of(session_id) AS session, epoch_us(end_time) AS time, stage = 'ai_processing' AS is_draft,
        coalesce(moderator_id, 0) AS moderator_id, coalesce(key_of(text_hash), 0) AS text,
        CASE coalesce(lower(decision), '') WHEN '' THEN 0 WHEN 'approved' THEN 1 WHEN 'edited' THEN 2 WHEN 'rejected' THEN 3 END AS decision
    FROM processing_metrics
    WHERE stage IN ('ai_processing', 'admin_review') AND success AND end_time <= until
        AND session_id BETWEEN (SELECT low FROM bounds) AND (SELECT high FROM bounds)
),
-- Where a session has one draft, one review and one delivery, they are just put side by side.
several AS MATERIALIZED (
    SELECT session FROM stages GROUP BY session, is_draft HAVING count(*) > 1
    UNION
    SELECT session FROM delivered GROUP BY session HAVING count(*) > 1
),
reviewed AS (
    SELECT
        d.place, a.time AS drafted_at, a.text AS draft,
        CASE WHEN r.decision > 0 THEN 4 * r.time + r.decision END AS told, r.text AS told_text, r.moderator_id AS told_by,
        CASE WHEN r.decision = 0 THEN 4 * r.time END AS untold, r.text AS untold_text, r.moderator_id AS untold_by
    FROM (SELECT place, session, time FROM delivered ANTI JOIN several USING (session)) AS d
    LEFT JOIN (SELECT session, time, text FROM stages WHERE is_draft) AS a ON a.session = d.session AND a.time <= d.time
    LEFT JOIN (SELECT session, time, text, moderator_id, decision FROM stages WHERE NOT is_draft) AS r ON r.session = d.session AND r.time <= d.time
    UNION ALL
    SELECT
        d.place,
        max(s.time) FILTER (WHERE is_draft),
        max_by(s.text, s.time) FILTER (WHERE is_draft),
        max(4 * s.time + decision) FILTER (WHERE NOT is_draft AND decision > 0),
        max_by(s.text, 4 * s.time + decision) FILTER (WHERE NOT is_draft AND decision > 0),
        max_by(moderator_id, 4 * s.time + decision) FILTER (WHERE NOT is_draft AND decision > 0),
        max(4 * s.time) FILTER (WHERE NOT is_draft AND decision = 0),
        max_by(s.text, s.time) FILTER (WHERE NOT is_draft AND decision = 0),
        max_by(moderator_id, s.time) FILTER (WHERE NOT is_draft AND decision = 0)
    FROM (SELECT place, session, time FROM delivered SEMI JOIN several USING (session)) AS d
    JOIN stages AS s ON s.session = d.session AND s.time <= d.time
    GROUP BY d.place
),
corrections AS (
    SELECT
        key_of(session_id) AS session, epoch_us(timestamp) AS time, coalesce(admin_user_id, 0) AS moderator_id,
        coalesce(key_of(corrected_hash), 0) AS text, CASE WHEN correction_type = 'rejection' THEN 3 ELSE 2 END AS decision
    FROM correction_metrics
    WHERE timestamp <= until
),
corrected AS (
    SELECT
        d.place,
        max(4 * c.time + decision) AS told,
        max_by(c.text, 4 * c.time + decision) AS told_text,
        max_by(c.moderator_id, 4 * c.time + decision) AS told_by,
        max(c.time) FILTER (WHERE decision = 2) AS edited_at,
        max_by(c.text, c.time) FILTER (WHERE decision = 2) AS edit
    FROM delivered AS d
    JOIN corrections AS c ON c.session = d.session AND c.time <= d.time
    GROUP BY d.place
),
-- The last decision. A correction goes before a review of the same moment; a review that says nothing of a decision counts
-- only where no correction was made since the draft.
judged AS (
    SELECT
        d.session, d.time, d.text AS delivered, nullif(r.draft, 0) AS draft,
        CASE WHEN c.edited_at >= coalesce(r.drafted_at, c.edited_at) THEN c.edit END AS edit,
        CASE
            WHEN int_div(c.told, 4) >= coalesce(greatest(int_div(r.told, 4), CASE WHEN int_div(c.told, 4) < r.drafted_at THEN int_div(r.untold, 4) END), 0)
                THEN tuple(c.told % 4, c.told_by, c.told_text, true)
            WHEN r.told >= coalesce(r.untold, 0) OR int_div(c.told, 4) >= coalesce(r.drafted_at, 0)
                THEN tuple(r.told % 4, r.told_by, r.told_text, false)
            ELSE tuple(CASE WHEN r.untold IS NOT NULL THEN 1 END, r.untold_by, r.untold_text, false)
        END AS last
    FROM delivered AS d
    LEFT JOIN reviewed AS r USING (place)
    LEFT JOIN corrected AS c USING (place)
),
compared AS (
    SELECT
        session, make_timestamp(time) AS time, nullif(part(last, 2), 0) AS moderator_id,
        CASE part(last, 1) WHEN 1 THEN 'approved' WHEN 2 THEN 'edited' WHEN 3 THEN 'rejected' END AS decision,
        draft, delivered,
        CASE
            WHEN part(last, 1) = 3 THEN NULL
            WHEN part(last, 3) <> 0 OR part(last, 4) THEN nullif(part(last, 3), 0)
            WHEN edit IS NOT NULL THEN nullif(edit, 0)
            WHEN part(last, 1) = 1 THEN draft
        END AS approved
    FROM judged
)
SELECT
    *,
    CASE
        WHEN decision IS NULL THEN 'not_reviewed'
        WHEN decision = 'rejected' THEN 'after_rejection'
        WHEN delivered IS NULL OR approved IS NULL THEN 'not_known'
        WHEN delivered = approved THEN 'as_approved'
        ELSE 'differs'
    END AS state
FROM compared;
