-- What: how long the stages of a window took: the mean and one percentile. Durations come from microseconds.
-- Parameters: since, until (TIMESTAMP, UTC), stage (NULL: each), quantile (0 to 1), order (the known stages).
-- Returns: stage, count, mean_ms, quantile_ms (interpolated); the known stages first.
SELECT
    stage, count(*) AS count, avg(duration_us) / 1000.0 AS mean_ms,
    quantile_cont(duration_us, $quantile) / 1000.0 AS quantile_ms
FROM (
    SELECT stage, epoch_us(end_time) - epoch_us(start_time) AS duration_us
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until AND ($stage IS NULL OR stage = $stage)
)
GROUP BY stage
ORDER BY min(coalesce(list_position($order, stage), 99)), stage;
