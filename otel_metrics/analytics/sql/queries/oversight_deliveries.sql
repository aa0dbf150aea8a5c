-- What: the deliveries of a period that stand in one way to what was approved, newest first.
-- Parameters: since, until (TIMESTAMP, UTC), state (see the macro deliveries), limit (NULL: all).
-- Returns: time, session_id, moderator_id, decision, draft_hash, approved_hash, delivered_hash.
SELECT time, session_id, moderator_id, decision, draft_hash, approved_hash, delivered_hash
FROM deliveries($since, $until)
WHERE state = $state
QUALIFY $limit IS NULL OR row_number() OVER (ORDER BY time DESC, session_id) <= $limit
ORDER BY time DESC, session_id;
