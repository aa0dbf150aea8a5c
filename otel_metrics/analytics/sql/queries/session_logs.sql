-- What: the log lines of one session, in order.
-- Parameters: session. Returns: timestamp, level, event_type, message, fields (JSON text).
SELECT timestamp, level, event_type, message, fields FROM logs WHERE session_id = $session ORDER BY timestamp, id;
