-- What: drafts that were decided in a window and how many went out as they were, by intent and prompt version.
-- Parameters: since, until, back (how far back drafts are looked for; TIMESTAMP, UTC).
-- Returns: intent, prompt_version (NULL: not known), drafts (decided), unchanged (approved, delivered, neither corrected nor
--   rejected), reviews, review_ms (time of these reviews).
-- A draft is decided when it was corrected or rejected, or approved and its session ended or was delivered.
WITH decisions AS (
    SELECT
        session, bool_or(decision = 'approved') AS approved, bool_or(corrected OR decision <> 'approved') AS changed,
        count(*) AS reviews, sum(review_ms) AS review_ms
    FROM drawn_reviews
    WHERE decision IS NOT NULL
    GROUP BY session
),
arrived AS (SELECT session FROM drawn_sessions WHERE answered_at IS NOT NULL),
made AS (
    SELECT key_of(session_id) AS session, max(intent) AS intent, max(prompt_version) AS prompt_version
    FROM correction_metrics
    WHERE timestamp > $back AND timestamp <= $until
    GROUP BY session
),
cases AS (
    SELECT
        coalesce(s.intent, d.intent, m.intent) AS intent,
        coalesce(d.prompt_version, m.prompt_version, s.prompt_version) AS prompt_version,
        r.approved, r.changed, s.outcome IS NOT NULL OR a.session IS NOT NULL AS over,
        coalesce(s.outcome = 'delivered', a.session IS NOT NULL) AS delivered, r.reviews, r.review_ms
    FROM decisions AS r
    JOIN drawn_drafts AS d USING (session)
    LEFT JOIN drawn_facts AS s USING (session)
    LEFT JOIN arrived AS a USING (session)
    LEFT JOIN made AS m USING (session)
    WHERE d.drafted
)
SELECT
    intent, prompt_version, count(*) AS drafts, count(*) FILTER (WHERE approved AND NOT changed AND delivered) AS unchanged,
    sum(reviews)::BIGINT AS reviews, sum(review_ms) AS review_ms
FROM cases
WHERE changed OR over
GROUP BY intent, prompt_version
ORDER BY drafts DESC, intent, prompt_version;
