-- What: drafts that came to moderation, by hour of the week and in all, and how long they waited.
--   A draft is a moderation_queue stage; in a session without one it is the last successful ai_processing, unless it was
--   sent without a review. Its wait ends with the stage, else with the first admin_review after it.
-- Parameters: history, until (TIMESTAMP, UTC), since (the window's), target_ms, zone (of hours and weekdays).
-- Returns: weekday (0 Monday … 6), hour (both NULL: the window as a whole), arrivals, picked_up, in_time, late
--   (picked up too late, or waiting longer than the target already), wait_quantiles_ms ([p50, p90] of those picked up).
WITH queued AS (
    SELECT key_of(session_id) AS session, start_time AS arrived, CASE WHEN success THEN end_time END AS taken, end_time AS gone
    FROM processing_metrics
    WHERE stage = 'moderation_queue' AND end_time > $history AND end_time <= $until
),
drafted AS (
    SELECT
        any_value(session_id) AS session_id,
        max(end_time) FILTER (WHERE stage = 'ai_processing' AND success) AS arrived,
        times_where(start_time, stage = 'admin_review') AS reviews, bool_or(stage = 'admin_review') AS was_reviewed,
        bool_or(stage IN ('final_response', 'user_delivery')) AS sent
    FROM processing_metrics
    WHERE end_time > $history AND end_time <= $until
        AND stage IN ('ai_processing', 'admin_review', 'final_response', 'user_delivery')
        AND key_of(session_id) NOT IN (SELECT session FROM queued)
    GROUP BY key_of(session_id)
),
unqueued AS (
    SELECT
        d.session_id, d.arrived, s.ended_at AS gone,
        coalesce(first_from(d.reviews, d.arrived), r.begun) AS taken
    FROM drafted AS d
    LEFT JOIN sessions AS s USING (session_id)
    LEFT JOIN (
        SELECT session_id, min(start_time) AS begun FROM running WHERE stage = 'admin_review' GROUP BY session_id
    ) AS r ON r.session_id = d.session_id AND r.begun >= d.arrived
    WHERE d.arrived IS NOT NULL AND (NOT d.sent OR d.was_reviewed)
),
drafts AS (
    SELECT arrived, taken IS NOT NULL AS picked_up, elapsed_ms(arrived, coalesce(taken, gone, $until)) AS wait_ms FROM queued
    UNION ALL
    SELECT arrived, taken IS NOT NULL, elapsed_ms(arrived, coalesce(taken, gone, $until)) FROM unqueued
),
placed AS (
    SELECT
        isodow(local_time(arrived, $zone)) - 1 AS weekday, hour(local_time(arrived, $zone)) AS hour,
        arrived > $since AS is_inside, picked_up, wait_ms
    FROM drafts
    WHERE arrived > $history AND arrived <= $until
)
SELECT
    weekday, hour, count(*) AS arrivals,
    count(*) FILTER (WHERE picked_up) AS picked_up,
    count(*) FILTER (WHERE picked_up AND wait_ms <= $target_ms) AS in_time,
    count(*) FILTER (WHERE wait_ms > $target_ms) AS late,
    p50_p90(CASE WHEN picked_up THEN wait_ms END) AS wait_quantiles_ms
FROM placed
WHERE is_inside IS NOT NULL
GROUP BY GROUPING SETS ((weekday, hour), (is_inside))
HAVING grouping(weekday) = 0 OR is_inside
ORDER BY weekday NULLS LAST, hour;
