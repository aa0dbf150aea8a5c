-- What: corrections in a window by their type, rejections included.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: correction_type, total_count, avg_processing_time_ms, avg_word_edit_rate, avg_similarity, avg_satisfaction.
SELECT
    correction_type,
    count(*) AS total_count,
    avg(processing_time_ms) AS avg_processing_time_ms,
    avg(word_edit_rate) AS avg_word_edit_rate,
    avg(similarity) AS avg_similarity,
    avg(admin_satisfaction) AS avg_satisfaction
FROM correction_metrics
WHERE timestamp > $since AND timestamp <= $until
GROUP BY correction_type
ORDER BY total_count DESC, correction_type;
