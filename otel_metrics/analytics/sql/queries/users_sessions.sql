-- What: the sessions that began in a window, by user; user 0 is nobody known.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: one row of sessions, unknown (of nobody known), users, mean, quantiles (p50, p95 of sessions per user), most,
--   spread (list of {times: sessions of a user, users}), top (list of {user_id, sessions}, the ten with most).
WITH begun AS (
    SELECT user_id, count(*) AS sessions FROM sessions WHERE started_at > $since AND started_at <= $until GROUP BY user_id
),
known AS (
    SELECT user_id, sessions FROM begun WHERE user_id <> 0
)
SELECT
    coalesce((SELECT sum(sessions)::BIGINT FROM begun), 0) AS sessions,
    coalesce((SELECT sum(sessions)::BIGINT FROM begun WHERE user_id = 0 OR user_id IS NULL), 0) AS unknown,
    count(*) AS users, avg(sessions) AS mean, p50_p95(sessions) AS quantiles, max(sessions) AS most,
    (
        SELECT sorted_list(tuple(times, users))
        FROM (SELECT sessions AS times, count(*) AS users FROM known GROUP BY sessions)
    ) AS spread,
    (
        SELECT sorted_list(tuple(-sessions, user_id))
        FROM (SELECT user_id, sessions FROM known ORDER BY sessions DESC, user_id LIMIT 10)
    ) AS top
FROM known;
