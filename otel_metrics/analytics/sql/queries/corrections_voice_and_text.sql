-- What: corrections that were spoken against those that were typed; rejections are neither.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: means ('voice': a voice_correction, or with a time of transcription; 'text': all others), count,
--   processing_ms and transcription_ms (each a list: p50, p90), word_edit_rate, satisfaction (means), rated (how many).
SELECT
    CASE WHEN correction_type = 'voice_correction' OR voice_transcription_time_ms IS NOT NULL THEN 'voice' ELSE 'text' END AS means,
    count(*) AS count,
    p50_p90(processing_time_ms) AS processing_ms,
    p50_p90(voice_transcription_time_ms) AS transcription_ms,
    avg(word_edit_rate) AS word_edit_rate, avg(admin_satisfaction) AS satisfaction, count(admin_satisfaction) AS rated
FROM correction_metrics
WHERE timestamp > $since AND timestamp <= $until AND correction_type <> 'rejection'
GROUP BY means
ORDER BY means DESC;
