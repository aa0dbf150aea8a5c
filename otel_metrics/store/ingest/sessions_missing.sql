-- What: sessions of which stages have come but no line of their own.
-- Parameters: base (the cursor's number before the new stages). Returns: session_id, user_id, chat_id, started_at.
SELECT session_id, max(user_id), max(chat_id), min(start_time)
FROM processing_metrics AS stage
WHERE seq > :base AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.session_id = stage.session_id)
GROUP BY session_id;
