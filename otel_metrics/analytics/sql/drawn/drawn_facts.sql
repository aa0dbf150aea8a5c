-- What: what was said of sessions when they were created and ended, for those that began in ($back, $until].
-- Parameters: back, until (TIMESTAMP, UTC).
-- Returns: session (`key_of` its id), chat_id, intent, prompt_version, outcome; one row each.
CREATE OR REPLACE TEMPORARY TABLE drawn_facts AS
WITH told AS NOT MATERIALIZED (
    SELECT key_of(session_id) AS session, chat_id, intent, prompt_version, outcome
    FROM sessions
    WHERE started_at > $back AND started_at <= $until
),
several AS MATERIALIZED (SELECT session FROM told GROUP BY session HAVING count(*) > 1)
SELECT session, chat_id, intent, prompt_version, outcome FROM told ANTI JOIN several USING (session)
UNION ALL
SELECT session, max(chat_id), max(intent), max(prompt_version), max(outcome) FROM told SEMI JOIN several USING (session) GROUP BY session;
