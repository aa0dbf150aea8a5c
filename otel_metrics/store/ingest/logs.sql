-- What: the structured logger's lines into logs; the fields that are not columns stay as one JSON object.
-- Parameters: lines (a JSON array of log lines), base (the cursor's number before the first). Returns: nothing.
INSERT INTO logs (timestamp, level, event_type, message, session_id, fields, seq)
SELECT
    value ->> 'timestamp', value ->> 'level', value ->> 'event_type', value ->> 'message', value ->> 'session_id',
    json_remove(value, '$.kind', '$.timestamp', '$.level', '$.event_type', '$.message', '$.session_id'),
    :base + key + 1
FROM json_each(:lines);
