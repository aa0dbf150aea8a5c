-- What: since when there are stages in the history, and how long moderators work on a draft. A correction inside of a
--   review (its span's child) is not counted twice.
-- Parameters: since, until (TIMESTAMP, UTC; the history).
-- Returns: first_start (NULL without stages), reviews (sessions with work of a moderator), handling_mean_ms,
--   handling_quantiles_ms ([p50, p90]).
WITH corrections AS MATERIALIZED (
    SELECT key_of(session_id) AS session, span_id, parent_span_id, epoch_us(end_time) - epoch_us(start_time) AS worked_us
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until AND stage = 'correction_processing'
),
inside AS (
    SELECT c.session, c.span_id
    FROM corrections AS c
    JOIN processing_metrics AS review ON key_of(review.session_id) = c.session AND review.span_id = c.parent_span_id
    WHERE review.end_time > $since AND review.end_time <= $until AND review.stage = 'admin_review'
        AND key_of(review.session_id) IN (SELECT session FROM corrections)
),
handled AS (
    SELECT session, sum(worked_us) / 1000.0 AS handling_ms
    FROM (
        SELECT key_of(session_id) AS session, epoch_us(end_time) - epoch_us(start_time) AS worked_us
        FROM processing_metrics
        WHERE end_time > $since AND end_time <= $until AND stage = 'admin_review'
        UNION ALL
        SELECT session, worked_us FROM corrections ANTI JOIN inside USING (session, span_id)
    )
    GROUP BY session
)
SELECT
    (SELECT min(start_time) FROM processing_metrics WHERE end_time > $since AND end_time <= $until) AS first_start,
    count(*) AS reviews,
    avg(handling_ms) AS handling_mean_ms,
    p50_p90(handling_ms) AS handling_quantiles_ms
FROM handled;
