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
TTL toDateTime(last_end) + toIntervalSecond({ttl_seconds});
