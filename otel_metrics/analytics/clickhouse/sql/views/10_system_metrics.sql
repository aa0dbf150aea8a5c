-- What: nothing: system metrics are no spans, and stay in the local store. Returns: the columns of the table, no rows.
CREATE OR REPLACE VIEW system_metrics AS
SELECT
    0::Int64 AS id, makeDateTime64(1970, 1, 1, 0, 0, 0, 0, 6, 'UTC') AS timestamp, ''::String AS metric_type, ''::String AS value,
    ''::Nullable(String) AS tags, ''::Nullable(String) AS metadata, ''::Nullable(String) AS process
WHERE false;
