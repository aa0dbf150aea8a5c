-- What: lines of spans that are not stages into spans.
-- Parameters: lines (a JSON array of span lines), base (the cursor's number before the first). Returns: nothing.
INSERT INTO spans (
    record_id, session_id, name, span_kind, start_time, end_time, duration_ms, success, error_type, span_id,
    parent_span_id, scope, process, attributes, events, flags, seq
)
SELECT
    value ->> 'record_id', value ->> 'session_id', value ->> 'name', value ->> 'span_kind', value ->> 'start_time',
    value ->> 'end_time', value ->> 'duration_ms', value ->> 'success', value ->> 'error_type', value ->> 'span_id',
    value ->> 'parent_span_id', value ->> 'scope', value ->> 'process', value -> 'attributes', value -> 'events',
    value ->> 'flags', :base + key + 1
FROM json_each(:lines)
WHERE true
ON CONFLICT (record_id) DO NOTHING;
