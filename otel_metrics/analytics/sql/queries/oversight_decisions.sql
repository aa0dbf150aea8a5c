-- What: the newest decisions of a period, each with the texts around it as hashes.
-- Parameters: since, until (TIMESTAMP, UTC), limit (NULL: all).
-- Returns: time, session_id, moderator_id, decision, kind, draft_hash (what was decided on), approved_hash (what it left;
--   of an approval that tells no text the draft), delivered_hash (the session's last delivery from then on).
-- `oversight_since` says from when on they were made, so that texts of no others are read.
WITH newest AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY time DESC, session_id, kind) AS place, *
    FROM (SELECT * FROM decisions($since, $until) ORDER BY time DESC, session_id, kind LIMIT $limit)
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
        max_by(tuple(s.text_hash, 1), s.end_time) FILTER (WHERE s.stage = 'ai_processing' AND s.end_time <= n.time) AS draft,
        max_by(tuple(s.text_hash, 1), s.end_time) FILTER (WHERE s.stage = 'user_delivery' AND s.end_time >= n.time) AS delivery
    FROM newest AS n
    LEFT JOIN stages AS s USING (session_id)
    GROUP BY ALL
)
SELECT
    time, session_id, moderator_id, decision, kind, coalesce(original_hash, part(draft, 1)) AS draft_hash,
    coalesce(result_hash, CASE WHEN decision = 'approved' THEN part(draft, 1) END) AS approved_hash, part(delivery, 1) AS delivered_hash
FROM joined
ORDER BY place;
