-- What: session lines into sessions. Where stages were seen before the session's own line, the line's facts win.
-- Parameters: lines (a JSON array of session lines), base (the cursor's number before the first). Returns: nothing.
INSERT INTO sessions (session_id, user_id, chat_id, started_at, metadata, seq)
SELECT
    value ->> 'session_id', value ->> 'user_id', value ->> 'chat_id', value ->> 'timestamp', value -> 'metadata',
    :base + key + 1
FROM json_each(:lines)
WHERE true
ON CONFLICT (session_id) DO UPDATE SET
    user_id = excluded.user_id, chat_id = excluded.chat_id, started_at = excluded.started_at,
    metadata = excluded.metadata, seq = excluded.seq;
