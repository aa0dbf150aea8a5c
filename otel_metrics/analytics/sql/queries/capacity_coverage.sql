-- What: since when there are stages in the history, and how long moderators work on a draft. A correction inside of a
--   review (its span's child) is not counted twice.
-- Parameters: since, until (TIMESTAMP, UTC; the history).
-- Returns: first_start (NULL without stages), reviews (sessions with work of a moderator), handling_mean_ms,
--   handling_quantiles_ms ([p50, p90]).
WITH work AS (
    SELECT session_id, stage, span_id, parent_span_id, epoch_us(end_time) - epoch_us(start_time) AS worked_us
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until AND stage IN ('admin_review', 'correction_processing')
),
inside AS (
    SELECT correction.span_id
    FROM work AS correction
    JOIN work AS review ON review.session_id = correction.session_id AND review.span_id = correction.parent_span_id
    WHERE correction.stage = 'correction_processing' AND review.stage = 'admin_review'
),
handled AS (
    SELECT session_id, sum(worked_us) / 1000.0 AS handling_ms
    FROM work
    WHERE span_id IS NULL OR span_id NOT IN (SELECT span_id FROM inside)
    GROUP BY session_id
)
SELECT
    (SELECT min(start_time) FROM processing_metrics WHERE end_time > $since AND end_time <= $until) AS first_start,
    count(*) AS reviews,
    avg(handling_ms) AS handling_mean_ms,
    quantile_cont(handling_ms, [0.5, 0.9]) AS handling_quantiles_ms
FROM handled;
