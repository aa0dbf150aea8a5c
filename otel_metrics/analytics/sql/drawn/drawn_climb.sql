-- What: what is above each span of a model, up to a hundred levels: the spans between it and its stage, the stage, and on.
-- Parameters: reach, until (TIMESTAMP, UTC; spans are read from reach on).
-- Returns: origin, above (ids of spans), bears (the origin tells of tokens or a cost), depth.
CREATE OR REPLACE TEMPORARY TABLE drawn_climb AS
WITH RECURSIVE climb AS (
    SELECT
        span_id AS origin, parent_span_id AS above, coalesce(input_tokens, output_tokens) IS NOT NULL OR cost IS NOT NULL AS bears,
        0::INTEGER AS depth
    FROM spans
    WHERE end_time > $reach AND end_time <= $until
        AND ((model IS NOT NULL AND success) OR input_tokens IS NOT NULL OR output_tokens IS NOT NULL OR cost IS NOT NULL)
    UNION ALL
    SELECT c.origin, s.parent_span_id, c.bears, (c.depth + 1)::INTEGER
    FROM climb AS c
    JOIN (SELECT span_id, parent_span_id FROM spans WHERE end_time > $reach) AS s ON s.span_id = c.above
    WHERE c.depth < 100
)
SELECT origin, above, bears, depth FROM climb;
