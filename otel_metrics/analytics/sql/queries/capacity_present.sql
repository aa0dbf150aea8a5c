-- What: how many moderators are seen working in each hour of the week: those who ended a review in it, hour by hour.
-- Parameters: since, until (TIMESTAMP, UTC; the history), zone (of hours and weekdays).
-- Returns: weekday (0 Monday … 6), hour, moderator_hours (different moderators in each hour, added up over the weeks).
WITH seen AS (
    SELECT DISTINCT date_trunc('hour', local_time(end_time, $zone)) AS hour_start, moderator_id
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until AND stage = 'admin_review' AND moderator_id IS NOT NULL
)
SELECT isodow(hour_start) - 1 AS weekday, hour(hour_start) AS hour, count(*) AS moderator_hours
FROM seen
GROUP BY ALL
ORDER BY weekday, hour;
