-- What: the least and the greatest id of the sessions with a stage in a window. Ids begin with the time, so that segments
--   whose ids lie outside of them are passed over when other stages of these sessions are looked for.
-- Parameters: since, until (TIMESTAMP, UTC). Returns: low, high (NULL without sessions); one row.
CREATE OR REPLACE TEMPORARY TABLE drawn_bounds AS
SELECT min(session_id) AS low, max(session_id) AS high FROM processing_metrics WHERE end_time > $since AND end_time <= $until;
