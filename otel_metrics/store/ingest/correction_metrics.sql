-- What: correction lines into correction_metrics.
-- Parameters: lines (a JSON array of correction lines), base (the cursor's number before the first). Returns: nothing.
INSERT INTO correction_metrics (
    correction_id, session_id, admin_user_id, message_id, correction_type, original_length, corrected_length,
    processing_time_ms, voice_transcription_time_ms, ai_correction_time_ms, timestamp, admin_satisfaction,
    retry_count, metadata, word_edit_rate, similarity, original_text, corrected_text, process, seq
)
SELECT
    value ->> 'correction_id', value ->> 'session_id', value ->> 'admin_user_id', value ->> 'message_id',
    value ->> 'correction_type', value ->> 'original_length', value ->> 'corrected_length',
    value ->> 'processing_time_ms', value ->> 'voice_transcription_time_ms', value ->> 'ai_correction_time_ms',
    value ->> 'timestamp', value ->> 'admin_satisfaction', value ->> 'retry_count', value -> 'metadata',
    value ->> 'word_edit_rate', value ->> 'similarity', value ->> 'original_text', value ->> 'corrected_text',
    value ->> 'process', :base + key + 1
FROM json_each(:lines)
WHERE true
ON CONFLICT (correction_id) DO NOTHING;
