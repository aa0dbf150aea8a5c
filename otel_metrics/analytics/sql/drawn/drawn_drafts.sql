-- What: the drafts of sessions: the last ai_processing stage of each that ended in ($back, $until].
-- Parameters: back, until (TIMESTAMP, UTC).
-- Returns: session (`key_of` its id), drafted_at, model, prompt_version, intent, draft_length (characters), drafted (one of
--   them succeeded). Of stages that ended at once the greatest in the order of the tuple's parts counts, so that the
--   answer is always the same. Most sessions have one draft: only the others are sorted.
CREATE OR REPLACE TEMPORARY TABLE drawn_drafts AS
WITH runs AS NOT MATERIALIZED (
    SELECT
        key_of(session_id) AS session, success,
        tuple(end_time, start_time, model, prompt_version, intent, output_length) AS draft
    FROM processing_metrics
    WHERE stage = 'ai_processing' AND end_time > $back AND end_time <= $until
),
several AS MATERIALIZED (SELECT session FROM runs GROUP BY session HAVING count(*) > 1)
SELECT
    session, part(draft, 1) AS drafted_at, part(draft, 3) AS model, part(draft, 4) AS prompt_version, part(draft, 5) AS intent,
    part(draft, 6) AS draft_length, drafted
FROM (
    SELECT session, success AS drafted, draft FROM runs ANTI JOIN several USING (session)
    UNION ALL
    SELECT session, bool_or(success), max(draft) FROM runs SEMI JOIN several USING (session) GROUP BY session
);
