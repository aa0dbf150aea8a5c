-- What: the sessions as questions see them: those whose root span or whose first ended stage has come. An open one has no
--   metadata yet, since its root comes when it ends. Ids of `create_session` tell when a session began; of others the
--   beginning of the first span counts.
-- Returns: the columns of the table; ids are the keyed hashes as numbers.
CREATE OR REPLACE VIEW sessions AS
SELECT
    session_id, user_id, chat_id, assumeNotNull(began_at) AS started_at, ended_at, outcome, metadata, platform, intent, language, prompt_version
FROM (
    SELECT
        session_id, began_at, max(user_id) AS user_id, max(chat_id) AS chat_id,
        maxOrNullIf(end_time, kind = 'root') AS ended_at, anyOrNullIf(SpanAttributes['hitl.session.outcome'], kind = 'root') AS outcome,
        anyOrNullIf(metadata_of(SpanAttributes), kind = 'root') AS metadata, anyIf(otel_traces.platform, kind = 'root') AS platform,
        anyIf(otel_traces.intent, kind = 'root') AS intent, anyIf(otel_traces.language, kind = 'root') AS language,
        anyIf(otel_traces.prompt_version, kind = 'root') AS prompt_version
    FROM otel_traces FINAL
    WHERE kind IN ('root', 'stage') AND began_at IS NOT NULL
    GROUP BY session_id, began_at
)
UNION ALL
SELECT
    session_id, max(user_id), max(chat_id), min(start_time) AS started_at,
    maxOrNullIf(end_time, kind = 'root'), anyOrNullIf(SpanAttributes['hitl.session.outcome'], kind = 'root'),
    anyOrNullIf(metadata_of(SpanAttributes), kind = 'root'), anyIf(otel_traces.platform, kind = 'root'), anyIf(otel_traces.intent, kind = 'root'),
    anyIf(otel_traces.language, kind = 'root'), anyIf(otel_traces.prompt_version, kind = 'root')
FROM otel_traces FINAL
WHERE kind IN ('root', 'stage') AND began_at IS NULL
GROUP BY session_id;
