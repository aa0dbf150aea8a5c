-- What: every other span of a session as questions see it, the session's root among them. What OTLP does not carry is NULL.
-- Returns: the columns of the table.
CREATE OR REPLACE VIEW spans AS
SELECT
    concat(leftPad(lower(hex(toUInt64(toUnixTimestamp64Micro(start_time)))), 14, '0'), SpanId) AS record_id, session_id,
    SpanName::String AS name, lower(SpanKind) AS span_kind, start_time, end_time,
    toInt64(intDiv(Duration + 500000, 1000000))::Nullable(Int64) AS duration_ms, success,
    nullif(SpanAttributes['error.type'], '') AS error_type, SpanId AS span_id, ParentSpanId AS parent_span_id, ScopeName AS scope,
    NULL::Nullable(String) AS process, attributes_of(SpanAttributes) AS attributes,
    events_of(Events.Timestamp, Events.Name, Events.Attributes) AS events, NULL::Nullable(Int64) AS flags,
    links_of(Links.TraceId, Links.SpanId, Links.Attributes) AS links, nullif(TraceId, session_id) AS trace_id,
    NULL::Nullable(Bool) AS parent_is_remote, nullif(ScopeVersion, '') AS scope_version, nullif(TraceState, '') AS trace_state,
    NULL::Nullable(String) AS root,
    if(kind = 'root', NULL, model) AS model, if(kind = 'root', NULL, provider) AS provider,
    if(kind = 'root', NULL, input_tokens) AS input_tokens, if(kind = 'root', NULL, output_tokens) AS output_tokens,
    if(kind = 'root', NULL, cost) AS cost, if(kind = 'root', NULL, currency) AS currency
FROM otel_traces FINAL
WHERE kind IN ('root', 'span');
