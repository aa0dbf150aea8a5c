-- The contract's figures of a window as one writes them by hand for these files alone: stages, overview, corrections by
-- type and moderator, rate. The views are the raw segment files.
SELECT
    stage, count(*), avg(epoch_us(end_time) - epoch_us(start_time)) / 1000.0,
    quantile_cont(epoch_us(end_time) - epoch_us(start_time), [0.5, 0.95, 0.99]), 100.0 * count(*) FILTER (success) / count(*)
FROM processing_metrics
WHERE end_time > $since AND end_time <= $until
GROUP BY stage;

SELECT count(*), avg(took_us) / 1000.0, 100.0 * sum(succeeded) / sum(stages)
FROM (
    SELECT
        session_id, max(epoch_us(end_time)) - min(epoch_us(start_time)) AS took_us, count(*) AS stages,
        count(*) FILTER (success) AS succeeded
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until
    GROUP BY session_id
);

SELECT correction_type, count(*), avg(processing_time_ms), avg(word_edit_rate), avg(similarity), avg(admin_satisfaction)
FROM correction_metrics
WHERE timestamp > $since AND timestamp <= $until
GROUP BY correction_type;

SELECT admin_user_id, count(*), avg(admin_satisfaction), avg(processing_time_ms), avg(word_edit_rate)
FROM correction_metrics
WHERE timestamp > $since AND timestamp <= $until
GROUP BY admin_user_id;

SELECT
    count(DISTINCT session_id),
    (
        SELECT count(DISTINCT session_id) FROM correction_metrics
        WHERE timestamp > $since AND timestamp <= $until AND correction_type <> 'rejection'
    )
FROM (
    SELECT session_id FROM processing_metrics WHERE end_time > $since AND end_time <= $until
    UNION ALL
    SELECT session_id FROM correction_metrics WHERE timestamp > $since AND timestamp <= $until
);
