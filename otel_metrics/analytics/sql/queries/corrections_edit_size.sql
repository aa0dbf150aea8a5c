-- What: how far corrections that are no rejection went from their drafts, over all and by type.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: correction_type (NULL: all of them), corrections, and for each measure word_edit_rate, character_edit_rate
--   (1 - similarity), original_length, corrected_length (characters): <measure>_count, _quantiles (p50, p90), _mean.
SELECT
    correction_type, count(*) AS corrections,
    count(word_edit_rate) AS word_edit_rate_count,
    p50_p90(word_edit_rate) AS word_edit_rate_quantiles,
    avg(word_edit_rate) AS word_edit_rate_mean,
    count(similarity) AS character_edit_rate_count,
    p50_p90(1 - similarity) AS character_edit_rate_quantiles,
    avg(1 - similarity) AS character_edit_rate_mean,
    count(original_length) AS original_length_count,
    p50_p90(original_length) AS original_length_quantiles,
    avg(original_length) AS original_length_mean,
    count(corrected_length) AS corrected_length_count,
    p50_p90(corrected_length) AS corrected_length_quantiles,
    avg(corrected_length) AS corrected_length_mean
FROM correction_metrics
WHERE timestamp > $since AND timestamp <= $until AND correction_type <> 'rejection'
GROUP BY GROUPING SETS ((), (correction_type))
ORDER BY grouping(correction_type) DESC, corrections DESC, correction_type;
