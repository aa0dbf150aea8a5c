-- What: the drafts of sessions: the last ai_processing stage of each that ended in ($back, $until].
-- Parameters: back, until (TIMESTAMP, UTC).
-- Returns: session (`key_of` its id), drafted_at, model, prompt_version, intent, draft_length (characters), drafted (one of
--   them succeeded). Of stages that ended at once the greatest in the order of the struct's fields counts, so that the
--   answer is always the same. Most sessions have one draft: only the others are sorted.
CREATE OR REPLACE TEMP TABLE drawn_drafts AS
WITH runs AS NOT MATERIALIZED (
    SELECT
        key_of(session_id) AS session, success,
        {
            'end_time': end_time, 'start_time': start_time, 'model': model, 'prompt_version': prompt_version,
            'intent': intent, 'output_length': output_length
        } AS draft
    FROM processing_metrics
    WHERE stage = 'ai_processing' AND end_time > $back AND end_time <= $until
),
several AS MATERIALIZED (SELECT session FROM runs GROUP BY session HAVING count(*) > 1)
SELECT
    session, draft.end_time AS drafted_at, draft.model AS model, draft.prompt_version AS prompt_version,
    draft.intent AS intent, draft.output_length AS draft_length, drafted
FROM (
    SELECT session, success AS drafted, draft FROM runs ANTI JOIN several USING (session)
    UNION ALL
    SELECT session, bool_or(success), max(draft) FROM runs SEMI JOIN several USING (session) GROUP BY session
);
