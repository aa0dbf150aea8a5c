-- What: the corrections of one session, in order.
-- Parameters: session. Returns: the columns of correction_metrics without texts.
SELECT
    timestamp, correction_type, admin_user_id, message_id, original_length, corrected_length, processing_time_ms,
    voice_transcription_time_ms, ai_correction_time_ms, word_edit_rate, similarity, admin_satisfaction, retry_count,
    metadata
FROM correction_metrics
WHERE session_id = $session
ORDER BY timestamp;
