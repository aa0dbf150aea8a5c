-- What: the newest decisions of a period, each with the texts around it as hashes.
-- Parameters: since, until (TIMESTAMP, UTC), limit (NULL: all).
-- Returns: time, session_id, moderator_id, decision, kind, draft_hash (what was decided on), approved_hash (what it left;
--   of an approval that tells no text the draft), delivered_hash (the session's last delivery from then on).
-- First the time from which on they were made, so that texts of no others are read.
WITH oldest AS MATERIALIZED (
    SELECT min(time) - INTERVAL 1 MICROSECOND AS before
    FROM (SELECT time FROM decisions($since, $until) ORDER BY time DESC LIMIT $limit)
),
newest AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY time DESC, session_id, kind) AS place, *
    FROM (FROM decisions((SELECT before FROM oldest), $until) ORDER BY time DESC, session_id, kind LIMIT $limit)
),
stages AS (
    SELECT session_id, stage, end_time, text_hash
    FROM processing_metrics
    WHERE session_id IN (SELECT session_id FROM newest)
        AND session_id BETWEEN (SELECT min(session_id) FROM newest) AND (SELECT max(session_id) FROM newest) AND stage IN ('ai_processing', 'user_delivery') AND success
),
joined AS (
    SELECT
        n.place, n.time, n.session_id, n.moderator_id, n.decision, n.kind, n.original_hash, n.result_hash,
        arg_max({'hash': s.text_hash}, s.end_time) FILTER (s.stage = 'ai_processing' AND s.end_time <= n.time) AS draft,
        arg_max({'hash': s.text_hash}, s.end_time) FILTER (s.stage = 'user_delivery' AND s.end_time >= n.time) AS delivery
    FROM newest AS n
    LEFT JOIN stages AS s USING (session_id)
    GROUP BY ALL
)
SELECT
    time, session_id, moderator_id, decision, kind, coalesce(original_hash, draft.hash) AS draft_hash,
    coalesce(result_hash, CASE WHEN decision = 'approved' THEN draft.hash END) AS approved_hash, delivery.hash AS delivered_hash
FROM joined
ORDER BY place;
