-- What: what was said of sessions when they were created and ended, for those that began in (back, until].
-- Parameters: back, until (TIMESTAMP, UTC). Returns: session_id, chat_id, intent, prompt_version, outcome; one row each.
CREATE MACRO session_facts(back, until) AS TABLE
SELECT
    session_id, max(chat_id) AS chat_id, max(intent) AS intent, max(prompt_version) AS prompt_version,
    max(outcome) AS outcome
FROM sessions
WHERE started_at > back AND started_at <= until
GROUP BY session_id;
