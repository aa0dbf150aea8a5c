-- What: stage lines into processing_metrics. A line that is already there (a rebuild) is left as it is.
-- Parameters: lines (a JSON array of stage lines), base (the cursor's number before the first). Returns: nothing.
INSERT INTO processing_metrics (
    metric_id, session_id, user_id, chat_id, stage, start_time, end_time, duration_ms, success, error_message,
    metadata, error_type, span_id, parent_span_id, process, attributes, events, flags, seq
)
SELECT
    value ->> 'metric_id', value ->> 'session_id', value ->> 'user_id', value ->> 'chat_id', value ->> 'stage',
    value ->> 'start_time', value ->> 'end_time', value ->> 'duration_ms', value ->> 'success',
    value ->> 'error_message', value -> 'metadata', value ->> 'error_type', value ->> 'span_id',
    value ->> 'parent_span_id', value ->> 'process', value -> 'attributes', value -> 'events', value ->> 'flags',
    :base + key + 1
FROM json_each(:lines)
WHERE true
ON CONFLICT (metric_id) DO NOTHING;
