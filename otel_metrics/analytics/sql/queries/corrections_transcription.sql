-- What: transcriptions of spoken corrections by their quality.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: quality (NULL: not told), count, transcription_ms (a list: p50, p90), word_edit_rate (mean).
SELECT
    transcription_quality AS quality, count(*) AS count,
    p50_p90(voice_transcription_time_ms) AS transcription_ms, avg(word_edit_rate) AS word_edit_rate
FROM correction_metrics
WHERE timestamp > $since AND timestamp <= $until
    AND (correction_type = 'voice_correction' OR voice_transcription_time_ms IS NOT NULL OR transcription_quality IS NOT NULL)
GROUP BY quality
ORDER BY count DESC, quality;
