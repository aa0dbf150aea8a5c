-- What: where the time of the window's sessions goes. Each moment counts once: for the stage that began last of those
--   running then, and where none ran for none. Sessions without overlaps need no sweep. They go by `key_of` their ids, which sorts faster.
-- Parameters: since, until (TIMESTAMP, UTC), reach (TIMESTAMP, UTC: how far back stages of these sessions are looked for).
-- Returns: one row of sessions, total_ms and mean_ms of last end - first start, quantiles_ms (p50, p95),
--   owned (list of {stage, ms}).
WITH earlier AS MATERIALIZED (
    SELECT key_of(session_id) AS session, stage, epoch_us(start_time) AS begun, epoch_us(end_time) AS ended
    FROM processing_metrics
    WHERE end_time > $reach AND end_time <= $since
        AND key_of(session_id) IN (SELECT session FROM drawn_sessions)
),
-- Read anew for each use, with the columns of that use: as a whole it would be most of the store.
ran AS NOT MATERIALIZED (
    SELECT key_of(session_id) AS session, stage, epoch_us(start_time) AS begun, epoch_us(end_time) AS ended
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until
    UNION ALL
    SELECT session, stage, begun, ended FROM earlier
),
sessions_of_window AS (
    SELECT (epoch_us(last_end) - least(epoch_us(first_start), begun)) / 1000.0 AS ms
    FROM drawn_sessions
    LEFT JOIN (SELECT session, min(begun) AS begun FROM earlier GROUP BY session) USING (session)
),
crossing AS MATERIALIZED (
    SELECT DISTINCT session
    FROM (
        SELECT session, ended, lead(maybe(begun)) OVER (PARTITION BY session ORDER BY begun, ended) AS next_begun FROM ran
    )
    WHERE next_begun < ended
),
crossed AS (SELECT * FROM ran WHERE session IN (SELECT session FROM crossing)),
points AS (
    SELECT session, moment, lead(maybe(moment)) OVER (PARTITION BY session ORDER BY moment) AS next_moment
    FROM (SELECT DISTINCT session, unnest([begun, ended]) AS moment FROM crossed)
),
swept AS (
    SELECT p.next_moment - p.moment AS us, max_by(r.stage, tuple(r.begun, -r.ended, r.stage)) AS stage
    FROM points AS p
    JOIN crossed AS r ON r.session = p.session AND r.begun <= p.moment AND r.ended >= p.next_moment
    WHERE p.next_moment IS NOT NULL
    GROUP BY p.session, p.moment, p.next_moment
),
owned AS (
    SELECT stage, sum(us) / 1000.0 AS ms
    FROM (
        SELECT stage, ended - begun AS us FROM ran WHERE session NOT IN (SELECT session FROM crossing)
        UNION ALL
        SELECT stage, us FROM swept
    )
    GROUP BY stage
)
SELECT
    count(*) AS sessions, sum(ms) AS total_ms, avg(ms) AS mean_ms, p50_p95(ms) AS quantiles_ms,
    (SELECT sorted_list(tuple(-ms, stage)) FROM owned) AS owned
FROM sessions_of_window;
