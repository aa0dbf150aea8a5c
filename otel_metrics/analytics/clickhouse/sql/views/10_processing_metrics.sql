-- What: the stages as questions see them. What OTLP does not carry is NULL: an error's message, the process, the flags.
-- Returns: the columns of the table; ids are the keyed hashes as numbers.
CREATE OR REPLACE VIEW processing_metrics AS
SELECT
    concat(leftPad(lower(hex(toUInt64(toUnixTimestamp64Micro(start_time)))), 14, '0'), SpanId) AS metric_id, session_id, user_id, chat_id,
    stage::String AS stage, start_time, end_time::Nullable(DateTime64(6, 'UTC')) AS end_time,
    toInt64(intDiv(Duration + 500000, 1000000))::Nullable(Int64) AS duration_ms, success, NULL::Nullable(String) AS error_message,
    metadata_of(if(
        mapContains(SpanAttributes, 'hitl.message.id'),
        mapUpdate(SpanAttributes, map('hitl.metadata.message_id'::LowCardinality(String), SpanAttributes['hitl.message.id'])), SpanAttributes
    )) AS metadata, nullif(SpanAttributes['error.type'], '') AS error_type, SpanId AS span_id,
    ParentSpanId AS parent_span_id, NULL::Nullable(String) AS process, attributes_of(SpanAttributes) AS attributes,
    events_of(Events.Timestamp, Events.Name, Events.Attributes) AS events, NULL::Nullable(Int64) AS flags,
    links_of(Links.TraceId, Links.SpanId, Links.Attributes) AS links,
    model, provider, prompt_version, intent, platform, input_tokens, output_tokens, total_tokens, cost, currency, input_length,
    output_length, moderator_id, decision, text_hash, speech_seconds
FROM otel_traces FINAL
WHERE kind = 'stage';
