-- What: how many stages of a window ended, and how many of them succeeded.
-- Parameters: since, until (TIMESTAMP, UTC), stage (NULL: each), order (the known stages).
-- Returns: stage, count, succeeded; the known stages first.
SELECT stage, count(*) AS count, count(*) FILTER (WHERE success) AS succeeded
FROM processing_metrics
WHERE end_time > $since AND end_time <= $until AND ($stage IS NULL OR stage = $stage)
GROUP BY stage
ORDER BY min(coalesce(list_position($order, stage), 99)), stage;
