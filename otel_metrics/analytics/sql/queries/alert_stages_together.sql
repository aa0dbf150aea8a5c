-- What: the ended stages of a window, all together: how many, how many failed, how long on average.
-- Parameters: since, until (TIMESTAMP, UTC), stage (NULL: all).
-- Returns: stages, failed, mean_ms (NULL without stages).
SELECT
    count(*) AS stages, count(*) FILTER (WHERE NOT success) AS failed,
    avg(epoch_us(end_time) - epoch_us(start_time)) / 1000.0 AS mean_ms
FROM processing_metrics
WHERE end_time > $since AND end_time <= $until AND ($stage IS NULL OR stage = $stage);
