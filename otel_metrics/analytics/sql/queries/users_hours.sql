-- What: when sessions begin: by quarter of an hour, so that hours of day and weekdays of any zone can be made of it.
-- Parameters: since, until (TIMESTAMP, UTC), zone.
-- Returns: weekday (1 Monday to 7 Sunday) and hour (0 to 23) in the zone, sessions, first (the first beginning, UTC).
WITH quarters AS (
    SELECT int_div(epoch_us(started_at), 900000000) AS quarter, count(*) AS sessions, min(started_at) AS first
    FROM sessions
    WHERE started_at > $since AND started_at <= $until
    GROUP BY quarter
),
placed AS (
    SELECT local_time(make_timestamp(quarter * 900000000), $zone) AS local, sessions, first FROM quarters
)
SELECT isodow(local) AS weekday, hour(local) AS hour, sum(sessions)::BIGINT AS sessions, min(first) AS first
FROM placed
GROUP BY ALL
ORDER BY weekday, hour;
