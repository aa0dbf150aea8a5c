-- What: the sessions as questions see them: those whose root span or whose first ended stage has come. An open one has no
--   metadata yet, since its root comes when it ends. Ids of `create_session` tell when a session began; of others the
--   beginning of the first span counts.
-- Returns: the columns of the table; ids are the keyed hashes as numbers.
CREATE OR REPLACE VIEW sessions AS
SELECT
    session_id, user_id, chat_id, ifNull(session_began(session_id), first_start) AS started_at, ended_at, outcome, metadata,
    platform, intent, language, prompt_version
FROM hitl_sessions FINAL;
