-- What: the corrections as questions see them. Texts never leave the machine and are NULL, as is the process.
-- Returns: the columns of the table; ids are the keyed hashes as numbers (of a message as text).
CREATE OR REPLACE VIEW correction_metrics AS
SELECT
    correction_id, session_id, admin_user_id, message_id, correction_type::String AS correction_type, original_length, corrected_length,
    processing_time_ms, voice_transcription_time_ms, ai_correction_time_ms, timestamp, admin_satisfaction, retry_count,
    metadata_of(attributes) AS metadata, word_edit_rate, similarity, NULL::Nullable(String) AS original_text,
    NULL::Nullable(String) AS corrected_text, NULL::Nullable(String) AS process, original_hash, corrected_hash,
    model, prompt_version, intent, reason, transcription_quality
FROM hitl_corrections FINAL;
