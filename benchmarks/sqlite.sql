-- The contract's figures of a window in SQLite's own SQL: stages, overview, corrections by type and moderator, rate.
WITH stages AS (
    SELECT stage, success, (julianday(end_time) - julianday(start_time)) * 86400000.0 AS ms
    FROM processing_metrics WHERE end_time > :since AND end_time <= :until
),
ranked AS (
    SELECT stage, success, ms, row_number() OVER (PARTITION BY stage ORDER BY ms) AS place,
        count(*) OVER (PARTITION BY stage) AS n
    FROM stages
)
SELECT stage, count(*), avg(ms), max(ms) FILTER (WHERE place <= 0.50 * n), max(ms) FILTER (WHERE place <= 0.95 * n),
    max(ms) FILTER (WHERE place <= 0.99 * n), 100.0 * sum(success) / count(*)
FROM ranked GROUP BY stage;

SELECT count(*), avg(ms) FROM (
    SELECT session_id, (julianday(max(end_time)) - julianday(min(start_time))) * 86400000.0 AS ms
    FROM processing_metrics
    WHERE session_id IN (SELECT session_id FROM processing_metrics WHERE end_time > :since AND end_time <= :until)
    GROUP BY session_id
);

SELECT correction_type, count(*), avg(processing_time_ms), avg(word_edit_rate), avg(similarity), avg(admin_satisfaction)
FROM correction_metrics WHERE timestamp > :since AND timestamp <= :until GROUP BY correction_type;

SELECT admin_user_id, count(*), avg(admin_satisfaction), avg(processing_time_ms), avg(word_edit_rate)
FROM correction_metrics WHERE timestamp > :since AND timestamp <= :until GROUP BY admin_user_id;

SELECT count(*), (
    SELECT count(DISTINCT session_id) FROM correction_metrics
    WHERE timestamp > :since AND timestamp <= :until AND correction_type <> 'rejection'
)
FROM (
    SELECT session_id FROM processing_metrics WHERE end_time > :since AND end_time <= :until
    UNION
    SELECT session_id FROM correction_metrics WHERE timestamp > :since AND timestamp <= :until
);
