-- What: corrections that are no rejection by how much was changed.
-- Parameters: since, until (TIMESTAMP, UTC); light, medium: word edit rates below which an edit is called so.
-- Returns: unchanged, light, medium, heavy, unknown (no word edit rate): how many corrections of each.
SELECT
    count(*) FILTER (WHERE word_edit_rate = 0) AS unchanged,
    count(*) FILTER (WHERE word_edit_rate > 0 AND word_edit_rate < $light) AS light,
    count(*) FILTER (WHERE word_edit_rate >= $light AND word_edit_rate < $medium) AS medium,
    count(*) FILTER (WHERE word_edit_rate >= $medium) AS heavy,
    count(*) FILTER (WHERE word_edit_rate IS NULL) AS unknown
FROM correction_metrics
WHERE timestamp > $since AND timestamp <= $until AND correction_type <> 'rejection';
