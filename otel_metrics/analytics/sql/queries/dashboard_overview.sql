-- What: the headline figures of a window. A stage belongs to it if it ended in ($since, $until]. What a session did
--   outside of the window is looked for among the sessions found inside, by their ids, which begin with the time.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: total_requests (sessions with a stage in the window), overall_success_rate (percent of those stages),
--   avg_total_processing_time_ms (mean over those sessions of last end - first start over all their stages).
WITH outside AS (
    SELECT key_of(session_id) AS session, min(start_time) AS first_start, max(end_time) AS last_end
    FROM processing_metrics
    WHERE (end_time <= $since OR end_time > $until) AND key_of(session_id) IN (SELECT session FROM drawn_sessions)
        AND session_id BETWEEN (SELECT low FROM drawn_bounds) AND (SELECT high FROM drawn_bounds)
    GROUP BY session
),
totals AS (
    SELECT
        i.stages, i.succeeded,
        epoch_us(greatest(i.last_end, coalesce(o.last_end, i.last_end)))
        - epoch_us(least(i.first_start, coalesce(o.first_start, i.first_start))) AS total_us
    FROM drawn_sessions AS i
    LEFT JOIN outside AS o USING (session)
)
SELECT
    count(*) AS total_requests,
    avg(total_us) / 1000.0 AS avg_total_processing_time_ms,
    100.0 * sum(succeeded) / nullif(sum(stages), 0) AS overall_success_rate
FROM totals;
