-- What: the sessions with a stage in a window, by their stages that ended there.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: session (`key_of` its id), first_start, first_end, last_end, stages, succeeded, asked_at (the beginning of the
--   first query_received), answered_at (the end of the first successful user_delivery).
CREATE OR REPLACE TEMPORARY TABLE drawn_sessions AS
SELECT
    key_of(session_id) AS session, min(start_time) AS first_start, min(end_time) AS first_end, max(end_time) AS last_end,
    count(*)::INTEGER AS stages, (count(*) FILTER (WHERE success))::INTEGER AS succeeded,
    min(start_time) FILTER (WHERE stage = 'query_received') AS asked_at,
    min(end_time) FILTER (WHERE stage = 'user_delivery' AND success) AS answered_at
FROM processing_metrics
WHERE end_time > $since AND end_time <= $until
GROUP BY session;
