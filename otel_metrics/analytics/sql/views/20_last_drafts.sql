-- What: the drafts of sessions: the last ai_processing stage of each that ended in (back, until].
-- Parameters: back, until (TIMESTAMP, UTC).
-- Returns: session_id, drafted_at, model, prompt_version, intent, draft_length (characters), drafted (one of them succeeded).
-- Of stages that ended at once the greatest in the order of the struct's fields counts, so that the answer is always the same.
CREATE MACRO last_drafts(back, until) AS TABLE
SELECT
    session_id, last.end_time AS drafted_at, last.model AS model, last.prompt_version AS prompt_version,
    last.intent AS intent, last.output_length AS draft_length, drafted
FROM (
    SELECT
        session_id, bool_or(success) AS drafted,
        max({
            'end_time': end_time, 'start_time': start_time, 'model': model, 'prompt_version': prompt_version,
            'intent': intent, 'output_length': output_length
        }) AS last
    FROM processing_metrics
    WHERE stage = 'ai_processing' AND end_time > back AND end_time <= until
    GROUP BY session_id
);
