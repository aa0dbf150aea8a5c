-- What: the course of a window in equal pieces: what began, ended and failed in each, and how many drafts waited at its end.
-- Parameters: since, until (TIMESTAMP, UTC), pieces (how many), waiting (beginnings of the waits that go on now).
-- Returns: one row for each piece, in their order: begun, ended (sessions), failed (stages), waiting.
WITH waits AS (
    SELECT start_time AS begun, end_time AS ended
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until AND stage = 'moderation_queue'
    UNION ALL
    SELECT start_time, NULL FROM running WHERE stage = 'moderation_queue' AND start_time <= $until
    UNION ALL
    SELECT each_time($waiting), NULL
),
happened AS (
    SELECT started_at AS moment, 1 AS begun, 0 AS ended, 0 AS failed, 0 AS change FROM sessions WHERE started_at > $since AND started_at <= $until
    UNION ALL
    SELECT ended_at, 0, 1, 0, 0 FROM sessions WHERE ended_at > $since AND ended_at <= $until
    UNION ALL
    SELECT end_time, 0, 0, 1, 0 FROM processing_metrics WHERE end_time > $since AND end_time <= $until AND NOT success
    UNION ALL
    SELECT begun, 0, 0, 0, 1 FROM waits
    UNION ALL
    SELECT ended, 0, 0, 0, -1 FROM waits WHERE ended IS NOT NULL
),
by_piece AS (
    SELECT
        greatest(0, ceil((epoch_us(moment) - epoch_us(instant($since))) * $pieces / (epoch_us(instant($until)) - epoch_us(instant($since)))) - 1)::BIGINT AS piece,
        sum(begun) AS begun, sum(ended) AS ended, sum(failed) AS failed, sum(change) AS change
    FROM happened
    GROUP BY piece
)
SELECT
    coalesce(begun, 0)::BIGINT AS begun, coalesce(ended, 0)::BIGINT AS ended, coalesce(failed, 0)::BIGINT AS failed,
    (sum(coalesce(change, 0)) OVER (ORDER BY piece ROWS UNBOUNDED PRECEDING))::BIGINT AS waiting
FROM (SELECT unnest(range($pieces::BIGINT)) AS piece)
LEFT JOIN by_piece USING (piece)
ORDER BY piece;
