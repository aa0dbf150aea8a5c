-- What: the stages of a window that failed, by the kind of the error.
-- Parameters: since, until (TIMESTAMP, UTC), stage (NULL: all).
-- Returns: stage, error_type ('unknown' where none was recorded), count, last_at; the most frequent first.
SELECT stage, kind AS error_type, count(*) AS count, max(end_time) AS last_at
FROM (SELECT *, coalesce(nullif(error_type, ''), 'unknown') AS kind FROM processing_metrics)
WHERE end_time > $since AND end_time <= $until AND NOT coalesce(success, false) AND ($stage IS NULL OR stage = $stage)
GROUP BY stage, kind
ORDER BY count DESC, stage, kind;
