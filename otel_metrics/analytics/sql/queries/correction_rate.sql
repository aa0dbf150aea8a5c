-- What: how many sessions of a window needed a correction. A rejection is none.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: sessions (with a stage or a correction in the window), corrected, rate (percent; NULL without sessions).
WITH touched AS (
    SELECT session FROM drawn_sessions
    UNION
    SELECT key_of(session_id) FROM correction_metrics WHERE timestamp > $since AND timestamp <= $until
),
corrected AS (
    SELECT DISTINCT session_id
    FROM correction_metrics
    WHERE timestamp > $since AND timestamp <= $until AND correction_type <> 'rejection'
)
SELECT
    (SELECT count(*) FROM touched) AS sessions,
    (SELECT count(*) FROM corrected) AS corrected,
    100.0 * (SELECT count(*) FROM corrected) / nullif((SELECT count(*) FROM touched), 0) AS rate;
