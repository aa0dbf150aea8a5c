-- What: nothing: log lines may hold texts and stay in the local store. Returns: the columns of the table, no rows.
CREATE OR REPLACE VIEW logs AS
SELECT
    0::Int64 AS id, makeDateTime64(1970, 1, 1, 0, 0, 0, 0, 6, 'UTC') AS timestamp, ''::String AS level, ''::String AS event_type,
    ''::String AS message, ''::Nullable(String) AS session_id, ''::String AS fields
WHERE false;
