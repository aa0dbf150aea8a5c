-- What: the ids of sessions that begin with some text.
-- Parameters: prefix. Returns: session_id, at most ten.
SELECT session_id FROM sessions WHERE starts_with(session_id, $prefix) ORDER BY session_id = $prefix DESC, session_id LIMIT 10;
