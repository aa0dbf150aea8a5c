-- What: what each moderator did in a window, how long it took, and approvals that were faster than the draft can be read.
-- Parameters: since, until, back (how far back drafts are looked for; TIMESTAMP, UTC), ms_per_character (of reading).
-- Returns: moderator_id (NULL: not told), reviews, approvals, corrections, rejections, undecided, active_ms, active_hours,
--   timed, review_ms (a list: p50, p90), judged, too_fast, rated, satisfaction (mean), edits, word_edit_rate (mean).
WITH finals AS (
    SELECT key_of(session_id) AS session, max(output_length) AS length
    FROM processing_metrics
    WHERE stage = 'final_response' AND end_time > $since AND end_time <= $until
    GROUP BY session
),
originals AS (
    SELECT key_of(session_id) AS session, max(original_length) AS length
    FROM correction_metrics
    WHERE timestamp > $back AND timestamp <= $until
    GROUP BY session
),
found AS (
    SELECT r.moderator_id, r.decision, r.reviewed_at, r.review_ms, coalesce(d.draft_length, o.length, f.length) AS draft_length
    FROM drawn_reviews AS r
    LEFT JOIN drawn_drafts AS d USING (session)
    LEFT JOIN originals AS o USING (session)
    LEFT JOIN finals AS f USING (session)
),
done AS (
    SELECT
        moderator_id, count(*) AS reviews, count(*) FILTER (WHERE decision = 'approved') AS approvals,
        count(*) FILTER (WHERE decision = 'edited') AS corrections, count(*) FILTER (WHERE decision = 'rejected') AS rejections,
        count(*) FILTER (WHERE decision IS NULL) AS undecided, sum(review_ms) AS active_ms,
        count(DISTINCT date_trunc('hour', reviewed_at)) AS active_hours, count(review_ms) AS timed,
        p50_p90(review_ms) AS review_ms,
        count(*) FILTER (WHERE decision = 'approved' AND review_ms IS NOT NULL AND draft_length > 0) AS judged,
        count(*) FILTER (WHERE decision = 'approved' AND review_ms < draft_length * $ms_per_character) AS too_fast
    FROM found
    GROUP BY moderator_id
),
made AS (
    SELECT
        nullif(admin_user_id, 0) AS moderator_id, avg(admin_satisfaction) AS satisfaction, count(admin_satisfaction) AS rated,
        count(word_edit_rate) FILTER (WHERE correction_type <> 'rejection') AS edits,
        avg(word_edit_rate) FILTER (WHERE correction_type <> 'rejection') AS word_edit_rate
    FROM correction_metrics
    WHERE timestamp > $since AND timestamp <= $until
    GROUP BY ALL
)
SELECT
    d.moderator_id, d.reviews, d.approvals, d.corrections, d.rejections, d.undecided, d.active_ms, d.active_hours, d.timed,
    d.review_ms, d.judged, d.too_fast, coalesce(m.rated, 0) AS rated, m.satisfaction, coalesce(m.edits, 0) AS edits,
    m.word_edit_rate
FROM done AS d
LEFT JOIN made AS m ON m.moderator_id = d.moderator_id
ORDER BY d.reviews DESC, d.moderator_id;
