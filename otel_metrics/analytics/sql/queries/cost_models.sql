-- What: which models and providers were called in a window, for looking up their prices, and where to look for the spans
--   of its stages: a model's span may have ended before the window where its stage ended inside.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: origin ('stage' or 'span'), model, provider, first_start, reach (the earliest start of such a stage).
WITH stages AS (
    SELECT model, provider, min(start_time) AS first_start
    FROM processing_metrics
    WHERE end_time > $since AND end_time <= $until
        AND (model IS NOT NULL OR coalesce(input_tokens, output_tokens, total_tokens) IS NOT NULL OR cost IS NOT NULL)
    GROUP BY ALL
),
spans_before AS (SELECT least($since, coalesce(min(first_start), $since)) AS reach FROM stages),
called AS (
    SELECT model, provider, min(start_time) AS first_start
    FROM spans
    WHERE end_time > $since AND end_time <= $until AND (model IS NOT NULL OR provider IS NOT NULL)
    GROUP BY ALL
)
SELECT *
FROM (
    SELECT 'stage' AS origin, model, provider, first_start, reach FROM stages, spans_before
    UNION ALL
    SELECT 'span', model, provider, first_start, reach FROM called, spans_before
)
ORDER BY ALL;
