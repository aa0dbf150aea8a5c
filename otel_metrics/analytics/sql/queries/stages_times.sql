-- What: how often, how long and how well each stage ran in a window: in all, by hour and by day.
-- Parameters: since, until (TIMESTAMP, UTC), zone (of hours and days), stage (NULL: all), order (the usual order of stages).
-- Returns: stage, hour (its beginning in UTC; NULL but in rows of an hour), day (NULL but in rows of a day), count, failed,
--   mean_ms, total_ms, quantiles_ms (p50, p95, p99, interpolated). Zones are looked up once for each quarter of an hour.
WITH ended AS (
    SELECT
        stage, coalesce(success, false) AS success, int_div(epoch_us(end_time), 900000000) AS quarter,
        (epoch_us(end_time) - epoch_us(start_time)) / 1000.0 AS ms
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until AND ($stage IS NULL OR stage = $stage)
),
quarters AS (
    SELECT quarter, make_timestamp(quarter * 900000000) AS utc, local_time(make_timestamp(quarter * 900000000), $zone) AS local
    FROM (SELECT DISTINCT quarter FROM ended)
),
places AS (
    SELECT quarter, make_timestamp(epoch_us(utc) - epoch_us(local) % 3600000000) AS hour, local::DATE AS day FROM quarters
)
SELECT
    stage, hour, day, count(*) AS count, count(*) FILTER (WHERE NOT success) AS failed, avg(ms) AS mean_ms, sum(ms) AS total_ms,
    p50_p95_p99(ms) AS quantiles_ms
FROM ended JOIN places USING (quarter)
GROUP BY GROUPING SETS ((stage), (stage, hour), (stage, day))
ORDER BY coalesce(list_position($order, stage), 99), stage, day, hour;
