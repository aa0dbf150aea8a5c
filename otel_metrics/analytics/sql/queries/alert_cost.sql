-- What: the cost that the stages of a window recorded, by currency; stages without one do not count.
-- Parameters: since, until (TIMESTAMP, UTC), currency (NULL: each).
-- Returns: currency (empty where none was said), count (stages with a cost), cost.
SELECT coalesce(currency, '') AS currency, count(*) AS count, sum(cost) AS cost
FROM processing_metrics
WHERE end_time > $since AND end_time <= $until AND cost IS NOT NULL
    AND ($currency IS NULL OR coalesce(currency, '') = $currency)
GROUP BY ALL
ORDER BY 1;
