-- What: each stage in a window: how often, how long, how well. Durations come from microseconds.
-- Parameters: since, until (TIMESTAMP, UTC), order (the known stages in their usual order).
-- Returns: stage, count, avg_duration_ms, p50_ms, p95_ms, p99_ms (interpolated), total_ms, success_rate (percent).
SELECT
    stage,
    count,
    mean_us / 1000.0 AS avg_duration_ms,
    quantiles_us[1] / 1000.0 AS p50_ms,
    quantiles_us[2] / 1000.0 AS p95_ms,
    quantiles_us[3] / 1000.0 AS p99_ms,
    total_us / 1000.0 AS total_ms,
    100.0 * succeeded / count AS success_rate
FROM (
    SELECT
        stage, count(*) AS count, avg(duration_us) AS mean_us, sum(duration_us) AS total_us,
        count(*) FILTER (WHERE success) AS succeeded, p50_p95_p99(duration_us) AS quantiles_us
    FROM (
        SELECT stage, success, epoch_us(end_time) - epoch_us(start_time) AS duration_us
        FROM processing_metrics
        WHERE end_time > $since AND end_time <= $until
    )
    GROUP BY stage
)
ORDER BY coalesce(list_position($order, stage), 99), stage;
