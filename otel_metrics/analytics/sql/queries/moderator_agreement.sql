-- What: items that two moderators decided: those of one session, and those of one message in different sessions of a chat.
-- Parameters: since, until, back (how far back sessions are looked for; TIMESTAMP, UTC).
-- Returns: one_id, other_id (moderators, the lower id first), one_decision, other_decision, items. Of several decisions of a
--   moderator about an item the first counts: it is the one least likely to follow the other's.
WITH found AS NOT MATERIALIZED (
    SELECT session, moderator_id, decision, reviewed_at, message_id
    FROM drawn_reviews
    WHERE moderator_id IS NOT NULL AND decision IS NOT NULL
),
shared_sessions AS (
    SELECT session FROM found GROUP BY session HAVING min(moderator_id) < max(moderator_id)
),
by_session AS (
    SELECT session, moderator_id, part(min(tuple(reviewed_at, decision)), 2) AS decision
    FROM found SEMI JOIN shared_sessions USING (session)
    GROUP BY session, moderator_id
),
messages AS (
    SELECT f.session, s.chat_id, f.message_id, f.moderator_id, f.decision, f.reviewed_at
    FROM found AS f
    JOIN drawn_facts AS s USING (session)
    WHERE f.message_id IS NOT NULL AND s.chat_id <> 0
),
shared_messages AS (
    SELECT chat_id, message_id FROM messages GROUP BY ALL HAVING min(moderator_id) < max(moderator_id)
),
by_message AS (
    SELECT
        chat_id, message_id, moderator_id, min(tuple(reviewed_at, decision, session)) AS first
    FROM messages SEMI JOIN shared_messages USING (chat_id, message_id)
    GROUP BY chat_id, message_id, moderator_id
),
pairs AS (
    SELECT a.moderator_id AS one_id, b.moderator_id AS other_id, a.decision AS one_decision, b.decision AS other_decision
    FROM by_session AS a
    JOIN by_session AS b ON a.session = b.session AND a.moderator_id < b.moderator_id
    UNION ALL
    SELECT a.moderator_id, b.moderator_id, part(a.first, 2), part(b.first, 2)
    FROM by_message AS a
    JOIN by_message AS b ON a.chat_id = b.chat_id AND a.message_id = b.message_id AND a.moderator_id < b.moderator_id
    WHERE part(a.first, 3) <> part(b.first, 3)
)
SELECT one_id, other_id, one_decision, other_decision, count(*) AS items
FROM pairs
GROUP BY ALL
ORDER BY one_id, other_id, one_decision, other_decision;
