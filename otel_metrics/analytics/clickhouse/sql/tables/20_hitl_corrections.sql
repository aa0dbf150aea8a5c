-- What: the corrections, which come as events of spans, by their time: a window's are found without a look at every span.
-- Placeholders: ttl_days, facts (`analytics.clickhouse.schema`).
CREATE TABLE IF NOT EXISTS hitl_corrections (
    timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    correction_id String MATERIALIZED attributes['hitl.correction.id'] CODEC(ZSTD(1)),
    correction_type LowCardinality(String) MATERIALIZED attributes['hitl.correction.type'],
    admin_user_id Int64 MATERIALIZED hash_number(attributes['hitl.moderator.id']) CODEC(ZSTD(1)),
    message_id String MATERIALIZED attributes['hitl.message.id'] CODEC(ZSTD(1)),
    original_length Nullable(Int64) MATERIALIZED toInt64OrNull(attributes['hitl.correction.original.length']),
    corrected_length Nullable(Int64) MATERIALIZED toInt64OrNull(attributes['hitl.correction.corrected.length']),
    processing_time_ms Nullable(Int64) MATERIALIZED in_ms(attributes['hitl.correction.duration']),
    voice_transcription_time_ms Nullable(Int64) MATERIALIZED in_ms(attributes['hitl.transcription.duration']),
    ai_correction_time_ms Nullable(Int64) MATERIALIZED in_ms(attributes['hitl.correction.ai.duration']),
    admin_satisfaction Nullable(Int64) MATERIALIZED toInt64OrNull(attributes['hitl.review.satisfaction']),
    retry_count Int64 MATERIALIZED ifNull(toInt64OrNull(attributes['hitl.correction.retry.count']), 0),
    word_edit_rate Nullable(Float64) MATERIALIZED toFloat64OrNull(attributes['hitl.correction.edit_distance']),
    similarity Nullable(Float64) MATERIALIZED toFloat64OrNull(attributes['hitl.correction.similarity']),
    original_hash Nullable(String) MATERIALIZED nullif(attributes['hitl.correction.original.hash'], '') CODEC(ZSTD(1)),
    corrected_hash Nullable(String) MATERIALIZED nullif(attributes['hitl.correction.corrected.hash'], '') CODEC(ZSTD(1)),
    {facts},
    INDEX idx_session_id session_id TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = ReplacingMergeTree
PARTITION BY toDate(timestamp)
ORDER BY (timestamp, correction_id)
TTL toDateTime(timestamp) + toIntervalSecond({ttl_seconds})
SETTINGS ttl_only_drop_parts = 1;
