-- What: how many stages ended in a window, and how many of them failed.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: one row of stages, failed.
SELECT count(*) AS stages, count(*) FILTER (WHERE NOT coalesce(success, false)) AS failed
FROM processing_metrics
WHERE end_time > $since AND end_time <= $until;
