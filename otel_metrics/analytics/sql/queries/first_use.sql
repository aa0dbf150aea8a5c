-- What: when each model and prompt version was first used for a draft that is not older than `back`.
-- Parameters: until, back (TIMESTAMP, UTC), beginning (how many drafts are the beginning of what is looked at).
-- Returns: dimension ('model', 'prompt_version'), name, began_at, from_beginning (it came with the first drafts, so that
--   nobody knows since when it is in use).
WITH drafts AS (
    SELECT model, prompt_version, end_time
    FROM processing_metrics
    WHERE stage = 'ai_processing' AND end_time > $back AND end_time <= $until
),
used AS (
    SELECT
        CASE WHEN grouping(model) = 0 THEN 'model' ELSE 'prompt_version' END AS dimension,
        coalesce(model, prompt_version) AS name, min(end_time) AS began_at
    FROM drafts
    GROUP BY GROUPING SETS ((model), (prompt_version))
),
beginning AS (SELECT max(end_time) AS ends_at FROM (SELECT end_time FROM drafts ORDER BY end_time LIMIT $beginning))
SELECT u.dimension, u.name, u.began_at, u.began_at <= b.ends_at AS from_beginning
FROM used AS u, beginning AS b
WHERE u.name IS NOT NULL
ORDER BY u.dimension, u.began_at, u.name;
