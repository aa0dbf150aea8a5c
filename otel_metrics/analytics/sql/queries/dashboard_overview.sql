-- What: the headline figures of a window. A stage belongs to it if it ended in ($since, $until].
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: total_requests (sessions with a stage in the window), overall_success_rate (percent of those stages),
--   avg_total_processing_time_ms (mean over those sessions of last end - first start over all their stages).
WITH stages AS (
    SELECT session_id, success FROM processing_metrics WHERE end_time > $since AND end_time <= $until
),
totals AS (
    SELECT session_id, epoch_us(max(end_time)) - epoch_us(min(start_time)) AS duration_us
    FROM processing_metrics
    WHERE session_id IN (SELECT session_id FROM stages)
    GROUP BY session_id
)
SELECT
    (SELECT count(*) FROM totals) AS total_requests,
    (SELECT avg(duration_us) / 1000.0 FROM totals) AS avg_total_processing_time_ms,
    (SELECT 100.0 * count(*) FILTER (success) / nullif(count(*), 0) FROM stages) AS overall_success_rate;
