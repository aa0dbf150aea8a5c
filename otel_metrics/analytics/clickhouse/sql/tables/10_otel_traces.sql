-- What: the spans as the collector's exporter writes them (its columns, its order), and what questions want of each span as
--   columns that are made when it is inserted. A span that was sent twice has the same key, and FINAL shows it once.
-- Placeholders: ttl_days, facts (`analytics.clickhouse.schema`).
-- Kinds: stage; root (of a session); span (any other of a session); other (of no session).
CREATE TABLE IF NOT EXISTS otel_traces (
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested (
        Timestamp DateTime64(9),
        Name LowCardinality(String),
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links Nested (
        TraceId String,
        SpanId String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    kind LowCardinality(String) MATERIALIZED multiIf(
        mapContains(SpanAttributes, 'hitl.stage.name'), 'stage', SpanAttributes['session.id'] = '', 'other',
        mapContains(SpanAttributes, 'hitl.session.outcome'), 'root', 'span'
    ),
    start_time DateTime64(6, 'UTC') MATERIALIZED Timestamp CODEC(Delta, ZSTD(1)),
    end_time DateTime64(6, 'UTC') MATERIALIZED fromUnixTimestamp64Nano(toUnixTimestamp64Nano(Timestamp) + toInt64(Duration), 'UTC') CODEC(Delta, ZSTD(1)),
    session_id String MATERIALIZED SpanAttributes['session.id'] CODEC(ZSTD(1)),
    stage LowCardinality(String) MATERIALIZED SpanAttributes['hitl.stage.name'],
    success Bool MATERIALIZED StatusCode <> 'Error',
    user_id Int64 MATERIALIZED hash_number(SpanAttributes['user.hash']) CODEC(ZSTD(1)),
    chat_id Int64 MATERIALIZED hash_number(SpanAttributes['hitl.chat.id']) CODEC(ZSTD(1)),
    moderator_id Nullable(Int64) MATERIALIZED nullif(hash_number(SpanAttributes['hitl.moderator.id']), 0) CODEC(ZSTD(1)),
    {facts},
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_session_id session_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_session_order session_id TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (kind, end_time, TraceId, SpanId)
TTL toDateTime(Timestamp) + toIntervalSecond({ttl_seconds})
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1;
