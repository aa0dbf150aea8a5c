-- What: everything that took time in one session: stages, other spans, stages still running, the root.
-- Parameters: session.
-- Returns: kind, name, span_id, parent_span_id, start_time, end_time, duration_ms, success, error_type, error_message,
--   process, metadata (JSON text), model, input_tokens, output_tokens (NULL where it is no model call or does not tell).
SELECT *
FROM (
    SELECT
        'stage' AS kind, stage AS name, span_id, parent_span_id, start_time, end_time,
        (epoch_us(end_time) - epoch_us(start_time)) / 1000.0 AS duration_ms, success, error_type, error_message, process, metadata,
        model, input_tokens, output_tokens
    FROM processing_metrics
    WHERE session_id = $session
    UNION ALL
    SELECT
        CASE WHEN coalesce(parent_span_id, '') = '' AND scope = 'otel_metrics' THEN 'session' ELSE 'span' END, name, span_id,
        parent_span_id, start_time, end_time, (epoch_us(end_time) - epoch_us(start_time)) / 1000.0, success, error_type, NULL,
        process, attributes, model, input_tokens, output_tokens
    FROM spans
    WHERE session_id = $session
    UNION ALL
    SELECT 'running', stage, span_id, NULL, start_time, NULL, NULL, NULL, NULL, NULL, process, NULL, NULL, NULL, NULL
    FROM running
    WHERE session_id = $session
)
ORDER BY start_time, end_time DESC;
