-- What: lines of ended sessions into sessions; of several ends of one session the first in the journal counts.
-- Parameters: lines (a JSON array of end lines), base (the cursor's number before the first). Returns: nothing.
INSERT INTO sessions (session_id, user_id, chat_id, started_at, ended_at, outcome, metadata, seq)
SELECT
    value ->> 'session_id', value ->> 'user_id', value ->> 'chat_id', value ->> 'start_time', value ->> 'end_time',
    value ->> 'outcome', value -> 'metadata', :base + key + 1
FROM json_each(:lines)
WHERE true
ON CONFLICT (session_id) DO UPDATE SET
    ended_at = excluded.ended_at, outcome = excluded.outcome, seq = excluded.seq
WHERE sessions.ended_at IS NULL;
