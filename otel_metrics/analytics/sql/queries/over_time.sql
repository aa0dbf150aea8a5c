-- What: sessions over time: how many ended their last stage in each step of a window, and how long they took end to end.
--   What a session did outside of the window is looked for as `dashboard_overview` does, so that the figures agree.
-- Parameters: since, until (TIMESTAMP, UTC), step_s (length of a step in seconds).
-- Returns: step_at (beginning of the step, TIMESTAMP, UTC), sessions, p50_ms, p95_ms; only steps with sessions, in order.
WITH outside AS (
    SELECT key_of(session_id) AS session, min(start_time) AS first_start
    FROM processing_metrics
    WHERE end_time <= $since AND key_of(session_id) IN (SELECT session FROM drawn_sessions)
        AND session_id BETWEEN (SELECT low FROM drawn_bounds) AND (SELECT high FROM drawn_bounds)
    GROUP BY session
),
took AS (
    SELECT
        step_of(i.last_end, $step_s) AS step_at,
        elapsed_ms(least(i.first_start, coalesce(o.first_start, i.first_start)), i.last_end) AS total_ms
    FROM drawn_sessions AS i
    LEFT JOIN outside AS o USING (session)
)
SELECT step_at, count(*) AS sessions, quantile_cont(total_ms, 0.5) AS p50_ms, quantile_cont(total_ms, 0.95) AS p95_ms
FROM took
GROUP BY step_at
ORDER BY step_at;
