-- What: the stages of a window that failed, by the kind of the error.
-- Parameters: since, until (TIMESTAMP, UTC), stage (NULL: all).
-- Returns: stage, error_type ('unknown' where none was recorded), count, last_at; the most frequent first.
SELECT stage, coalesce(nullif(error_type, ''), 'unknown') AS error_type, count(*) AS count, max(end_time) AS last_at
FROM processing_metrics
WHERE end_time > $since AND end_time <= $until AND success IS NOT TRUE AND ($stage IS NULL OR stage = $stage)
GROUP BY ALL
ORDER BY count DESC, stage, error_type;
