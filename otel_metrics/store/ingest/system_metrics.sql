-- What: system lines into system_metrics.
-- Parameters: lines (a JSON array of system lines), base (the cursor's number before the first). Returns: nothing.
INSERT INTO system_metrics (timestamp, metric_type, value, tags, metadata, process, seq)
SELECT
    value ->> 'timestamp', value ->> 'metric_type', value ->> 'value', value -> 'tags', value -> 'metadata',
    value ->> 'process', :base + key + 1
FROM json_each(:lines);
