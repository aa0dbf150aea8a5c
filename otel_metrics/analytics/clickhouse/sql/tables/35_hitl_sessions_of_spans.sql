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
