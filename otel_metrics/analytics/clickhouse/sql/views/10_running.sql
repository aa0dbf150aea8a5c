-- What: nothing: a span is sent when it ends, so that stages in progress are known to the local store alone.
-- Returns: the columns of the table, no rows.
CREATE OR REPLACE VIEW running AS
SELECT
    ''::String AS metric_id, ''::String AS session_id, 0::Int64 AS user_id, 0::Int64 AS chat_id, ''::String AS stage,
    makeDateTime64(1970, 1, 1, 0, 0, 0, 0, 6, 'UTC') AS start_time, ''::String AS span_id, ''::String AS process
WHERE false;
