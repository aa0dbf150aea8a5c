-- What: how long users wait: sessions that began in a window, from the beginning of the first query_received, or else of
--   the session, to the end of the first successful user_delivery.
-- Parameters: since, until (TIMESTAMP, UTC), timeout_h (an open session without activity for so long is abandoned),
--   limits_ms (the times of the shares).
-- Returns: one row of sessions, answered, quantiles_ms (p50, p90, p95), mean_ms, unanswered (list of {outcome, sessions,
--   oldest} of those ended without an answer, outcome 'open' of those that may still get one), within (list of {limit_ms,
--   sessions: those begun at least so long ago, answered: of them in that time}).
WITH begun AS (
    SELECT key_of(session_id) AS session, started_at, ended_at, outcome FROM sessions WHERE started_at > $since AND started_at <= $until
),
asked AS (
    SELECT
        b.ended_at, b.outcome, b.started_at, greatest(b.started_at, coalesce(s.last_end, b.started_at)) AS active_at,
        coalesce(s.asked_at, b.started_at) AS asked_at, s.answered_at,
        greatest(0, elapsed_ms(coalesce(s.asked_at, b.started_at), s.answered_at)) AS response_ms
    FROM begun AS b
    LEFT JOIN drawn_sessions AS s USING (session)
),
unanswered AS (
    SELECT
        CASE
            WHEN ended_at IS NOT NULL THEN coalesce(outcome, 'unknown')
            WHEN active_at < hours_before($until, $timeout_h) THEN 'abandoned'
            ELSE 'open'
        END AS outcome,
        asked_at
    FROM asked
    WHERE answered_at IS NULL
)
SELECT
    count(*) AS sessions, count(answered_at) AS answered, avg(response_ms) FILTER (WHERE answered_at IS NOT NULL) AS mean_ms,
    p50_p90_p95(CASE WHEN answered_at IS NOT NULL THEN response_ms END) AS quantiles_ms,
    (
        SELECT sorted_list(tuple(-sessions, outcome, oldest))
        FROM (SELECT outcome, count(*) AS sessions, min(asked_at) AS oldest FROM unanswered GROUP BY outcome)
    ) AS unanswered,
    (
        SELECT sorted_list(tuple(limit_ms, sessions, answered))
        FROM (
            SELECT l.limit_ms, count(*) AS sessions, count(*) FILTER (WHERE a.answered_at IS NOT NULL AND a.response_ms <= l.limit_ms) AS answered
            FROM asked AS a
            JOIN (SELECT each_number($limits_ms) AS limit_ms) AS l ON elapsed_ms(a.asked_at, instant($until)) >= l.limit_ms
            GROUP BY l.limit_ms
        )
    ) AS within
FROM asked;
