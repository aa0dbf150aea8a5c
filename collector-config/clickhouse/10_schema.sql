-- What: what ClickHouse has before spans come: the table that the collector's exporter writes, and the functions and views
--   by which the package's own questions read it. Kept for 30 days, as METRICS_RETENTION_DAYS=30.
-- Needs: ClickHouse 25 or newer.
-- Run: docker compose --profile clickhouse up -d; the server takes the folder at its first start.
-- Made from otel_metrics/analytics/clickhouse (`statements(30)`), not by hand; a test keeps the two equal.

-- What: a text as a whole number, rounded; NULL where it is none
-- Parameters: text. Returns: Int64.
CREATE OR REPLACE FUNCTION as_integer AS (text) -> ifNull(toInt64OrNull(text), accurateCastOrNull(round(toFloat64OrNull(text)), 'Int64'));

-- What: what others put on a span, without what its columns tell, as JSON of texts
-- Parameters: attributes (Map). Returns: String; NULL for nothing.
CREATE OR REPLACE FUNCTION attributes_of AS (attributes) -> nullif(toJSONString(mapFilter(
    (k, v) -> NOT startsWith(k, 'hitl.metadata.')
        AND k NOT IN ('session.id', 'user.hash', 'error.type', 'hitl.chat.id', 'hitl.message.id', 'hitl.moderator.id', 'hitl.platform.name', 'hitl.session.outcome', 'hitl.stage.name'),
    attributes
)), '{}');

-- What: a span's events as JSON. Parameters: moments, names, attributes (Arrays). Returns: String; NULL for none.
CREATE OR REPLACE FUNCTION events_of AS (moments, names, attributes) -> if(empty(names), NULL, concat('[', arrayStringConcat(arrayMap(
    (m, n, a) -> concat(
        '{"name":', toJSONString(n::String), ',"timestamp":"', formatDateTime(toDateTime64(m, 6, 'UTC'), '%Y-%m-%dT%H:%i:%S.%f'), 'Z","attributes":', toJSONString(a), '}'
    ), moments, names, attributes
), ','), ']'));

-- What: a keyed hash as the number that stands for an id; 0 where there is none
-- Parameters: hash (16 hex digits). Returns: Int64.
CREATE OR REPLACE FUNCTION hash_number AS (hash) -> if(length(hash) = 16, toInt64(bitAnd(reinterpretAsUInt64(reverse(unhex(hash))), 9223372036854775807)), 0);

-- What: seconds as text in whole milliseconds; NULL where it is no number
-- Parameters: text. Returns: Int64.
CREATE OR REPLACE FUNCTION in_ms AS (text) -> toInt64(round(toFloat64OrNull(text) * 1000));

-- What: a span's links as JSON. Parameters: traces, spans, attributes (Arrays). Returns: String; NULL for none.
CREATE OR REPLACE FUNCTION links_of AS (traces, spans, attributes) -> if(empty(traces), NULL, concat('[', arrayStringConcat(arrayMap(
    (t, s, a) -> concat('{"trace_id":', toJSONString(t), ',"span_id":', toJSONString(s), ',"attributes":', toJSONString(a), '}'),
    traces, spans, attributes
), ','), ']'));

-- What: a user's own metadata out of a span's attributes, as JSON of texts.
-- Parameters: attributes (Map). Returns: String.
CREATE OR REPLACE FUNCTION metadata_of AS (attributes) -> toJSONString(
    mapApply((k, v) -> (substring(k, 15), v), mapFilter((k, v) -> startsWith(k, 'hitl.metadata.'), attributes))
);

-- What: when a session began, which ids of `create_session` tell; NULL for others
-- Parameters: session (id). Returns: DateTime64(6), UTC.
CREATE OR REPLACE FUNCTION session_began AS (session) -> if(
    match(session, '^[0-9a-f]{32}$') AND substring(session, 17, 1) = '0'
        AND substring(session, 14, 3) = substring(lower(leftPad(hex(CRC32(substring(session, 1, 13))), 8, '0')), 6, 3),
    fromUnixTimestamp64Micro(
        toInt64(reinterpretAsUInt32(reverse(unhex(substring(session, 1, 8))))) * 1000000
        + toInt64(reinterpretAsUInt32(reverse(unhex(concat('000', substring(session, 9, 5)))))), 'UTC'
    ),
    NULL
);

-- What: a text as a number; NULL where it is none
-- Parameters: text. Returns: Float64.
CREATE OR REPLACE FUNCTION as_number AS (text) -> toFloat64OrNull(trim(text));

-- What: whether any is true; NULL without rows
-- Parameters: flag. Returns: Bool.
CREATE OR REPLACE FUNCTION bool_or AS (flag) -> max(flag);

-- What: whether a text holds another
-- Parameters: text, part. Returns: Bool.
CREATE OR REPLACE FUNCTION contains AS (text, part) -> position(text, part) > 0;

-- What: a row for each number of a list
-- Parameters: numbers. Returns: Float64.
CREATE OR REPLACE FUNCTION each_number AS (numbers) -> arrayJoin(CAST(numbers, 'Array(Float64)'));

-- What: a row for each time of a list
-- Parameters: moments. Returns: DateTime64(6), UTC.
CREATE OR REPLACE FUNCTION each_time AS (moments) -> arrayJoin(CAST(moments, 'Array(DateTime64(6, \'UTC\'))'));

-- What: milliseconds between two times; NULL where one is missing
-- Parameters: since, until. Returns: Float64.
CREATE OR REPLACE FUNCTION elapsed_ms AS (since, until) -> (toUnixTimestamp64Micro(until) - toUnixTimestamp64Micro(since)) / 1000.0;

-- What: a time as microseconds
-- Parameters: moment (DateTime64). Returns: Int64.
CREATE OR REPLACE FUNCTION epoch_us AS (moment) -> toUnixTimestamp64Micro(moment);

-- What: the first of a list of times from a moment on; NULL where there is none.
-- Parameters: moments, moment. Returns: TIMESTAMP.
CREATE OR REPLACE FUNCTION first_from AS (moments, moment) -> arrayReduce('minOrNull', arrayFilter(one -> one >= moment, moments));

-- What: the time so many hours before another
-- Parameters: moment, hours. Returns: DateTime64(6), UTC.
CREATE OR REPLACE FUNCTION hours_before AS (moment, hours) -> fromUnixTimestamp64Micro(toUnixTimestamp64Micro(moment) - toInt64(hours * 3600000000), 'UTC');

-- What: a parameter as a time
-- Parameters: moment. Returns: DateTime64(6), UTC.
CREATE OR REPLACE FUNCTION instant AS (moment) -> moment;

-- What: division without a rest
-- Parameters: number, divisor. Returns: Int64.
CREATE OR REPLACE FUNCTION int_div AS (number, divisor) -> intDiv(number, divisor);

-- What: whether a number is one
-- Parameters: number. Returns: Bool.
CREATE OR REPLACE FUNCTION isfinite AS (number) -> isFinite(number);

-- What: the weekday of a time.
-- Parameters: moment. Returns: 1 Monday to 7 Sunday.
CREATE OR REPLACE FUNCTION isodow AS (moment) -> toDayOfWeek(moment);

-- What: the value of a key in a JSON object as text; NULL where there is none
-- Parameters: document, key. Returns: String.
CREATE OR REPLACE FUNCTION json_text AS (document, key) -> if(JSONHas(ifNull(document, ''), key), if(JSONType(ifNull(document, ''), key) = 'String', JSONExtractString(ifNull(document, ''), key), JSONExtractRaw(ifNull(document, ''), key)), NULL);

-- What: whether a text is JSON.
-- Parameters: document. Returns: Bool.
CREATE OR REPLACE FUNCTION json_valid AS (document) -> isValidJSON(ifNull(document, ''));

-- What: a JSON object of texts without two of its keys.
-- Parameters: document, one, other. Returns: JSON text.
CREATE OR REPLACE FUNCTION json_without AS (document, one, other) -> toJSONString(mapFilter((k, v) -> k <> one AND k <> other, JSONExtract(document, 'Map(String, String)')));

-- What: a text as a number of 64 bits
-- Parameters: text. Returns: UInt64; NULL for NULL.
CREATE OR REPLACE FUNCTION key_of AS (text) -> cityHash64(text);

-- What: where a value stands in a list, from 1 on; NULL where it does not
-- Parameters: list, value. Returns: UInt64.
CREATE OR REPLACE FUNCTION list_position AS (list, value) -> nullif(indexOf(list, value), 0);

-- What: a time as clocks of a zone show it.
-- Parameters: moment, zone. Returns: a time without a zone.
CREATE OR REPLACE FUNCTION local_time AS (moment, zone) -> fromUnixTimestamp64Micro(toUnixTimestamp64Micro(moment) + timezoneOffset(toTimeZone(moment, zone)) * 1000000, 'UTC');

-- What: the time of microseconds
-- Parameters: us. Returns: DateTime64(6), UTC.
CREATE OR REPLACE FUNCTION make_timestamp AS (us) -> fromUnixTimestamp64Micro(toInt64(us), 'UTC');

-- What: a value whose lack is NULL and not the zero of its type
-- Parameters: value. Returns: Nullable.
CREATE OR REPLACE FUNCTION maybe AS (value) -> toNullable(value);

-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of TIMESTAMP.
CREATE OR REPLACE FUNCTION moments AS (list) -> CAST(list, 'Array(Nullable(DateTime64(6, \'UTC\')))');

-- What: quantiles of a group, interpolated; a list of NULLs without values, where DuckDB says NULL
-- Parameters: value. Returns: Array.
CREATE OR REPLACE FUNCTION p50_p90 AS (value) -> quantilesExactInclusive(0.5, 0.9)(value);

-- What: quantiles of a group, interpolated; a list of NULLs without values, where DuckDB says NULL
-- Parameters: value. Returns: Array.
CREATE OR REPLACE FUNCTION p50_p90_p95 AS (value) -> quantilesExactInclusive(0.5, 0.9, 0.95)(value);

-- What: quantiles of a group, interpolated; a list of NULLs without values, where DuckDB says NULL
-- Parameters: value. Returns: Array.
CREATE OR REPLACE FUNCTION p50_p95 AS (value) -> quantilesExactInclusive(0.5, 0.95)(value);

-- What: quantiles of a group, interpolated; a list of NULLs without values, where DuckDB says NULL
-- Parameters: value. Returns: Array.
CREATE OR REPLACE FUNCTION p50_p95_p99 AS (value) -> quantilesExactInclusive(0.5, 0.95, 0.99)(value);

-- What: a part of a tuple by its place from 1 on
-- Parameters: parts, place. Returns: what the part is.
CREATE OR REPLACE FUNCTION part AS (parts, place) -> tupleElement(parts, place);

-- What: a quantile of a group, interpolated; NULL without values
-- Parameters: value, share. Returns: Float64.
CREATE OR REPLACE FUNCTION quantile_cont AS (value, share) -> quantileExactInclusive(share)(value);

-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of DOUBLE.
CREATE OR REPLACE FUNCTION reals AS (list) -> CAST(list, 'Array(Nullable(Float64))');

-- What: the values of a group in their order; empty without rows, where DuckDB says NULL
-- Parameters: value. Returns: Array.
CREATE OR REPLACE FUNCTION sorted_list AS (value) -> arraySort(groupArray(value));

-- What: whether a text begins with another
-- Parameters: text, beginning. Returns: Bool.
CREATE OR REPLACE FUNCTION starts_with AS (text, beginning) -> startsWith(text, beginning);

-- What: the beginning of the step of so many seconds that holds a time; a week begins on a Monday.
-- Parameters: moment, step_s. Returns: TIMESTAMP.
CREATE OR REPLACE FUNCTION step_of AS (moment, step_s) -> fromUnixTimestamp64Micro(intDiv(toUnixTimestamp64Micro(moment) - 946857600000000, toInt64(step_s * 1000000)) * toInt64(step_s * 1000000) + 946857600000000, 'UTC');

-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of VARCHAR.
CREATE OR REPLACE FUNCTION texts AS (list) -> CAST(list, 'Array(Nullable(String))');

-- What: the times of a group's rows that meet a condition.
-- Parameters: moment, flag. Returns: list; NULL without any, where ClickHouse says empty.
CREATE OR REPLACE FUNCTION times_where AS (moment, flag) -> groupArrayIf(moment, flag);

-- What: a parameter that is a list, with the type of its values.
-- Parameters: list. Returns: list of BIGINT.
CREATE OR REPLACE FUNCTION wholes AS (list) -> CAST(list, 'Array(Nullable(Int64))');

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
    platform LowCardinality(Nullable(String)) MATERIALIZED if(mapContains(SpanAttributes, 'hitl.metadata.platform'), SpanAttributes['hitl.metadata.platform'], NULL) CODEC(ZSTD(1)),
    intent LowCardinality(Nullable(String)) MATERIALIZED if(mapContains(SpanAttributes, 'hitl.metadata.intent'), SpanAttributes['hitl.metadata.intent'], NULL) CODEC(ZSTD(1)),
    language LowCardinality(Nullable(String)) MATERIALIZED if(mapContains(SpanAttributes, 'hitl.metadata.language'), SpanAttributes['hitl.metadata.language'], NULL) CODEC(ZSTD(1)),
    prompt_version LowCardinality(Nullable(String)) MATERIALIZED coalesce(if(mapContains(SpanAttributes, 'hitl.metadata.prompt_version'), SpanAttributes['hitl.metadata.prompt_version'], NULL), if(mapContains(SpanAttributes, 'hitl.metadata.prompt'), SpanAttributes['hitl.metadata.prompt'], NULL)) CODEC(ZSTD(1)),
    model LowCardinality(Nullable(String)) MATERIALIZED coalesce(if(mapContains(SpanAttributes, 'hitl.metadata.model'), SpanAttributes['hitl.metadata.model'], NULL), if(mapContains(SpanAttributes, 'gen_ai.response.model'), SpanAttributes['gen_ai.response.model'], NULL), if(mapContains(SpanAttributes, 'gen_ai.request.model'), SpanAttributes['gen_ai.request.model'], NULL), if(mapContains(SpanAttributes, 'hitl.usage.response_model'), SpanAttributes['hitl.usage.response_model'], NULL), if(mapContains(SpanAttributes, 'hitl.usage.request_model'), SpanAttributes['hitl.usage.request_model'], NULL)) CODEC(ZSTD(1)),
    provider LowCardinality(Nullable(String)) MATERIALIZED coalesce(if(mapContains(SpanAttributes, 'hitl.metadata.provider'), SpanAttributes['hitl.metadata.provider'], NULL), if(mapContains(SpanAttributes, 'gen_ai.provider.name'), SpanAttributes['gen_ai.provider.name'], NULL), if(mapContains(SpanAttributes, 'gen_ai.system'), SpanAttributes['gen_ai.system'], NULL), if(mapContains(SpanAttributes, 'hitl.usage.provider'), SpanAttributes['hitl.usage.provider'], NULL)) CODEC(ZSTD(1)),
    input_tokens Nullable(Int64) MATERIALIZED coalesce(as_integer(SpanAttributes['hitl.metadata.input_tokens']), as_integer(SpanAttributes['gen_ai.usage.input_tokens']), as_integer(SpanAttributes['hitl.usage.input_tokens'])) CODEC(ZSTD(1)),
    output_tokens Nullable(Int64) MATERIALIZED coalesce(as_integer(SpanAttributes['hitl.metadata.output_tokens']), as_integer(SpanAttributes['gen_ai.usage.output_tokens']), as_integer(SpanAttributes['hitl.usage.output_tokens'])) CODEC(ZSTD(1)),
    total_tokens Nullable(Int64) MATERIALIZED coalesce(as_integer(SpanAttributes['hitl.metadata.tokens_used']), as_integer(SpanAttributes['hitl.metadata.tokens']), as_integer(SpanAttributes['hitl.metadata.total_tokens'])) CODEC(ZSTD(1)),
    cost Nullable(Float64) MATERIALIZED coalesce(toFloat64OrNull(SpanAttributes['hitl.metadata.cost']), toFloat64OrNull(SpanAttributes['hitl.usage.cost.amount'])) CODEC(ZSTD(1)),
    currency LowCardinality(Nullable(String)) MATERIALIZED coalesce(if(mapContains(SpanAttributes, 'hitl.metadata.currency'), SpanAttributes['hitl.metadata.currency'], NULL), if(mapContains(SpanAttributes, 'hitl.usage.cost.currency'), SpanAttributes['hitl.usage.cost.currency'], NULL)) CODEC(ZSTD(1)),
    input_length Nullable(Int64) MATERIALIZED coalesce(as_integer(SpanAttributes['hitl.metadata.message_length']), as_integer(SpanAttributes['hitl.metadata.input_length']), as_integer(SpanAttributes['hitl.metadata.question_length'])) CODEC(ZSTD(1)),
    output_length Nullable(Int64) MATERIALIZED coalesce(as_integer(SpanAttributes['hitl.metadata.length']), as_integer(SpanAttributes['hitl.metadata.output_length']), as_integer(SpanAttributes['hitl.metadata.answer_length'])) CODEC(ZSTD(1)),
    decision LowCardinality(Nullable(String)) MATERIALIZED if(mapContains(SpanAttributes, 'hitl.metadata.decision'), SpanAttributes['hitl.metadata.decision'], NULL) CODEC(ZSTD(1)),
    text_hash Nullable(String) MATERIALIZED if(mapContains(SpanAttributes, 'hitl.metadata.text_hash'), SpanAttributes['hitl.metadata.text_hash'], NULL) CODEC(ZSTD(1)),
    speech_seconds Nullable(Float64) MATERIALIZED coalesce(toFloat64OrNull(SpanAttributes['hitl.metadata.speech_seconds']), toFloat64OrNull(SpanAttributes['hitl.metadata.voice_seconds']), toFloat64OrNull(SpanAttributes['hitl.metadata.audio_seconds'])) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_session_id session_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_session_order session_id TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (kind, end_time, TraceId, SpanId)
TTL toDateTime(Timestamp) + toIntervalSecond(2592000)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1;

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
    model LowCardinality(Nullable(String)) MATERIALIZED if(mapContains(attributes, 'hitl.metadata.model'), attributes['hitl.metadata.model'], NULL) CODEC(ZSTD(1)),
    prompt_version LowCardinality(Nullable(String)) MATERIALIZED coalesce(if(mapContains(attributes, 'hitl.metadata.prompt_version'), attributes['hitl.metadata.prompt_version'], NULL), if(mapContains(attributes, 'hitl.metadata.prompt'), attributes['hitl.metadata.prompt'], NULL)) CODEC(ZSTD(1)),
    intent LowCardinality(Nullable(String)) MATERIALIZED if(mapContains(attributes, 'hitl.metadata.intent'), attributes['hitl.metadata.intent'], NULL) CODEC(ZSTD(1)),
    reason LowCardinality(Nullable(String)) MATERIALIZED coalesce(if(mapContains(attributes, 'hitl.metadata.rejection_reason'), attributes['hitl.metadata.rejection_reason'], NULL), if(mapContains(attributes, 'hitl.metadata.reason'), attributes['hitl.metadata.reason'], NULL)) CODEC(ZSTD(1)),
    transcription_quality LowCardinality(Nullable(String)) MATERIALIZED if(mapContains(attributes, 'hitl.metadata.transcription_quality'), attributes['hitl.metadata.transcription_quality'], NULL) CODEC(ZSTD(1)),
    INDEX idx_session_id session_id TYPE bloom_filter(0.001) GRANULARITY 1
) ENGINE = ReplacingMergeTree
PARTITION BY toDate(timestamp)
ORDER BY (timestamp, correction_id)
TTL toDateTime(timestamp) + toIntervalSecond(2592000)
SETTINGS ttl_only_drop_parts = 1;

-- What: one row for each session, put together of its stages and its root as they come: lists of sessions read no span.
--   Every column is the least, the greatest or any of what came, so that a span that came twice changes nothing.
-- Placeholders: ttl_seconds.
CREATE TABLE IF NOT EXISTS hitl_sessions (
    session_id String CODEC(ZSTD(1)),
    first_start SimpleAggregateFunction(min, DateTime64(6, 'UTC')),
    last_end SimpleAggregateFunction(max, DateTime64(6, 'UTC')),
    user_id SimpleAggregateFunction(max, Int64),
    chat_id SimpleAggregateFunction(max, Int64),
    ended_at SimpleAggregateFunction(max, Nullable(DateTime64(6, 'UTC'))),
    outcome SimpleAggregateFunction(max, Nullable(String)),
    metadata SimpleAggregateFunction(max, Nullable(String)) CODEC(ZSTD(1)),
    platform SimpleAggregateFunction(max, Nullable(String)),
    intent SimpleAggregateFunction(max, Nullable(String)),
    language SimpleAggregateFunction(max, Nullable(String)),
    prompt_version SimpleAggregateFunction(max, Nullable(String))
) ENGINE = AggregatingMergeTree
ORDER BY session_id
TTL toDateTime(last_end) + toIntervalSecond(2592000);

-- What: takes the corrections out of the spans that are inserted.
CREATE MATERIALIZED VIEW IF NOT EXISTS hitl_corrections_of_spans TO hitl_corrections (timestamp DateTime64(6, 'UTC'), session_id String, attributes Map(LowCardinality(String), String)) AS
SELECT event.1 AS timestamp, SpanAttributes['session.id'] AS session_id, event.3 AS attributes
FROM otel_traces
ARRAY JOIN arrayZip(Events.Timestamp, Events.Name, Events.Attributes) AS event
WHERE event.2 = 'hitl.correction' AND SpanAttributes['session.id'] <> '';

-- What: puts sessions together of the spans that are inserted. Of a session's end the root tells: outcome and metadata.
CREATE MATERIALIZED VIEW IF NOT EXISTS hitl_sessions_of_spans TO hitl_sessions AS
SELECT
    session_id, min(start_time) AS first_start, max(end_time) AS last_end, max(user_id) AS user_id, max(chat_id) AS chat_id,
    maxOrNullIf(end_time, kind = 'root') AS ended_at, maxOrNullIf(SpanAttributes['hitl.session.outcome'], kind = 'root') AS outcome,
    maxOrNullIf(metadata_of(SpanAttributes), kind = 'root') AS metadata, maxOrNullIf(platform::Nullable(String), kind = 'root') AS platform,
    maxOrNullIf(intent::Nullable(String), kind = 'root') AS intent, maxOrNullIf(language::Nullable(String), kind = 'root') AS language,
    maxOrNullIf(prompt_version::Nullable(String), kind = 'root') AS prompt_version
FROM otel_traces
WHERE kind IN ('root', 'stage')
GROUP BY session_id;

-- What: the corrections as questions see them. Texts never leave the machine and are NULL, as is the process.
-- Returns: the columns of the table; ids are the keyed hashes as numbers (of a message as text).
CREATE OR REPLACE VIEW correction_metrics AS
SELECT
    correction_id, session_id, admin_user_id, message_id, correction_type::String AS correction_type, original_length, corrected_length,
    processing_time_ms, voice_transcription_time_ms, ai_correction_time_ms, timestamp, admin_satisfaction, retry_count,
    metadata_of(attributes) AS metadata, word_edit_rate, similarity, NULL::Nullable(String) AS original_text,
    NULL::Nullable(String) AS corrected_text, NULL::Nullable(String) AS process, original_hash, corrected_hash,
    model, prompt_version, intent, reason, transcription_quality
FROM hitl_corrections FINAL;

-- What: nothing: log lines may hold texts and stay in the local store. Returns: the columns of the table, no rows.
CREATE OR REPLACE VIEW logs AS
SELECT
    0::Int64 AS id, makeDateTime64(1970, 1, 1, 0, 0, 0, 0, 6, 'UTC') AS timestamp, ''::String AS level, ''::String AS event_type,
    ''::String AS message, ''::Nullable(String) AS session_id, ''::String AS fields
WHERE false;

-- What: nothing: when a process began is told to the local store alone. Returns: the columns of the table, no rows.
CREATE OR REPLACE VIEW processes AS
SELECT
    ''::String AS process, makeDateTime64(1970, 1, 1, 0, 0, 0, 0, 6, 'UTC') AS started_at, 0::Int64 AS pid, ''::String AS host,
    ''::String AS resource, 0::Int64 AS forwards
WHERE false;

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

-- What: nothing: a span is sent when it ends, so that stages in progress are known to the local store alone.
-- Returns: the columns of the table, no rows.
CREATE OR REPLACE VIEW running AS
SELECT
    ''::String AS metric_id, ''::String AS session_id, 0::Int64 AS user_id, 0::Int64 AS chat_id, ''::String AS stage,
    makeDateTime64(1970, 1, 1, 0, 0, 0, 0, 6, 'UTC') AS start_time, ''::String AS span_id, ''::String AS process
WHERE false;

-- What: the sessions as questions see them: those whose root span or whose first ended stage has come. An open one has no
--   metadata yet, since its root comes when it ends. Ids of `create_session` tell when a session began; of others the
--   beginning of the first span counts.
-- Returns: the columns of the table; ids are the keyed hashes as numbers.
CREATE OR REPLACE VIEW sessions AS
SELECT
    session_id, user_id, chat_id, ifNull(session_began(session_id), first_start) AS started_at, ended_at, outcome, metadata,
    platform, intent, language, prompt_version
FROM hitl_sessions FINAL;

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

-- What: nothing: system metrics are no spans, and stay in the local store. Returns: the columns of the table, no rows.
CREATE OR REPLACE VIEW system_metrics AS
SELECT
    0::Int64 AS id, makeDateTime64(1970, 1, 1, 0, 0, 0, 0, 6, 'UTC') AS timestamp, ''::String AS metric_type, ''::String AS value,
    ''::Nullable(String) AS tags, ''::Nullable(String) AS metadata, ''::Nullable(String) AS process
WHERE false;

-- What: the number of this schema.
CREATE OR REPLACE VIEW otel_metrics_schema AS SELECT 1 AS version;
