-- What: corrections in a window by the moderator who made them, rejections included.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: admin_user_id, total_corrections, rejections, avg_satisfaction, avg_processing_time_ms, avg_word_edit_rate.
SELECT
    admin_user_id,
    count(*) AS total_corrections,
    count(*) FILTER (WHERE correction_type = 'rejection') AS rejections,
    avg(admin_satisfaction) AS avg_satisfaction,
    avg(processing_time_ms) AS avg_processing_time_ms,
    avg(word_edit_rate) AS avg_word_edit_rate
FROM correction_metrics
WHERE timestamp > $since AND timestamp <= $until
GROUP BY admin_user_id
ORDER BY total_corrections DESC, admin_user_id;
