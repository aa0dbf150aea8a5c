-- What: lines of stages that have begun into running, unless their end is known already.
-- Parameters: lines (a JSON array of begin lines). Returns: nothing.
INSERT INTO running (metric_id, session_id, user_id, chat_id, stage, start_time, span_id, process)
SELECT
    value ->> 'metric_id', value ->> 'session_id', value ->> 'user_id', value ->> 'chat_id', value ->> 'stage',
    value ->> 'timestamp', value ->> 'span_id', value ->> 'process'
FROM json_each(:lines)
WHERE NOT EXISTS (SELECT 1 FROM processing_metrics WHERE metric_id = value ->> 'metric_id')
ON CONFLICT (metric_id) DO NOTHING;
