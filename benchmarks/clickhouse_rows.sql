-- What: made rows as the collector's exporter would insert them: stages with the corrections made in them, and roots.
-- Placeholders: stages, sessions (Parquet files that `clickhouse.py` writes).
INSERT INTO otel_traces (
    Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion,
    SpanAttributes, Duration, StatusCode, Events.Timestamp, Events.Name, Events.Attributes
)
SELECT
    fromUnixTimestamp64Micro(start_us, 'UTC'), session_id, span_id, parent_span_id, stage, 'Internal', 'bot', map('service.name', 'bot'),
    'otel_metrics', '0.1.0',
    mapConcat(
        map('session.id', session_id, 'hitl.stage.name', stage, 'user.hash', user_hash, 'hitl.chat.id', user_hash),
        if(error_type IS NULL, map(), map('error.type', assumeNotNull(error_type))),
        if(moderator_hash IS NULL, map(), map('hitl.moderator.id', assumeNotNull(moderator_hash))),
        mapApply((k, v) -> (concat('hitl.metadata.', k), v), mapFilter((k, v) -> k <> 'admin_user_id', JSONExtract(assumeNotNull(metadata), 'Map(String, String)')))
    ),
    took_us * 1000, if(success, 'Unset', 'Error'),
    if(correction_id IS NULL, [], [fromUnixTimestamp64Micro(assumeNotNull(corrected_us), 'UTC')]), if(correction_id IS NULL, [], ['hitl.correction']),
    if(correction_id IS NULL, [], [map(
        'hitl.correction.id', assumeNotNull(correction_id), 'hitl.correction.type', assumeNotNull(correction_type),
        'hitl.correction.edit_distance', toString(assumeNotNull(word_edit_rate)), 'hitl.correction.similarity', toString(assumeNotNull(similarity)),
        'hitl.correction.original.length', toString(assumeNotNull(original_length)),
        'hitl.correction.corrected.length', toString(assumeNotNull(corrected_length)),
        'hitl.correction.duration', toString(assumeNotNull(processing_time_ms) / 1000), 'hitl.review.satisfaction', toString(assumeNotNull(admin_satisfaction)),
        'hitl.moderator.id', assumeNotNull(moderator_hash), 'hitl.correction.original.hash', assumeNotNull(original_hash),
        'hitl.correction.corrected.hash', assumeNotNull(corrected_hash), 'hitl.metadata.prompt', assumeNotNull(prompt), 'hitl.metadata.intent', assumeNotNull(intent)
    )])
FROM file('{stages}', 'Parquet');

INSERT INTO otel_traces (
    Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion,
    SpanAttributes, Duration, StatusCode
)
SELECT
    fromUnixTimestamp64Micro(start_us, 'UTC'), session_id, span_id, '', 'session', 'Internal', 'bot', map('service.name', 'bot'),
    'otel_metrics', '0.1.0',
    map(
        'session.id', session_id, 'user.hash', user_hash, 'hitl.chat.id', user_hash, 'hitl.session.outcome', outcome,
        'hitl.metadata.platform', 'telegram', 'hitl.metadata.language', 'en', 'hitl.metadata.intent', intent
    ),
    took_us * 1000, if(outcome = 'failed', 'Error', 'Unset')
FROM file('{sessions}', 'Parquet');
