-- What: how long questions and answers are, one of each per session: the first input length and the last output length
--   that its stages of the window have.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: what ('question', 'answer'), count, mean, longest, quantiles (p50, p90, p95).
WITH lengths AS (
    SELECT
        session_id, min_by(input_length, start_time) FILTER (WHERE input_length IS NOT NULL) AS question,
        max_by(output_length, end_time) FILTER (WHERE output_length IS NOT NULL) AS answer
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until AND (input_length IS NOT NULL OR output_length IS NOT NULL)
    GROUP BY session_id
)
SELECT what, count(*) AS count, avg(length) AS mean, max(length) AS longest, p50_p90_p95(length) AS quantiles
FROM (
    SELECT 'question' AS what, question AS length FROM lengths
    UNION ALL
    SELECT 'answer' AS what, answer AS length FROM lengths
)
WHERE length IS NOT NULL
GROUP BY what
ORDER BY what DESC;
