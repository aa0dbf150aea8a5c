-- What: how many drafts wait for a moderator: changes by the full hour at which they show, and the longest queue.
-- Parameters: since, until (TIMESTAMP, UTC), shift_us (the zone's offset from UTC within an hour), waiting (beginnings of
--   the waits that go on now).
-- Returns: one row of changes (list of {moment, change}; `moment` is the first full hour at or after the change), most, most_at.
WITH waits AS (
    SELECT start_time AS begun, end_time AS ended
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until AND stage = 'moderation_queue'
    UNION ALL
    SELECT start_time, NULL FROM running WHERE stage = 'moderation_queue' AND start_time <= $until
    UNION ALL
    SELECT each_time($waiting), NULL
),
changes AS (
    SELECT epoch_us(greatest(begun, instant($since))) AS us, 1 AS change FROM waits
    UNION ALL
    SELECT epoch_us(ended), -1 FROM waits WHERE ended IS NOT NULL
),
lengths AS (
    SELECT us, sum(change) OVER (ORDER BY us, change ROWS UNBOUNDED PRECEDING) AS length FROM changes
),
by_hour AS (
    SELECT make_timestamp(int_div(us + $shift_us + 3599999999, 3600000000) * 3600000000 - $shift_us) AS moment, sum(change)::BIGINT AS change
    FROM changes
    GROUP BY moment
)
SELECT
    (SELECT sorted_list(tuple(moment, change)) FROM by_hour) AS changes,
    coalesce(max(length), 0)::BIGINT AS most, make_timestamp(max_by(us, length)) AS most_at
FROM lengths;
