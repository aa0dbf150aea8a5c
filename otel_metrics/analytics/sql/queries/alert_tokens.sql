-- What: the tokens that stages recorded, in pieces of equal length that go back from the end of a window.
-- Parameters: since, until (TIMESTAMP, UTC), piece_us (the length of a piece), stage (NULL: any).
-- Returns: piece (0: the last), stages (all that ended in it), tokens (NULL where none were recorded).
SELECT
    int_div(epoch_us(instant($until)) - epoch_us(end_time), $piece_us) AS piece, count(*) AS stages,
    sum(coalesce(total_tokens, input_tokens + output_tokens, input_tokens, output_tokens)) AS tokens
FROM processing_metrics
WHERE end_time > $since AND end_time <= $until AND ($stage IS NULL OR stage = $stage)
GROUP BY piece
ORDER BY piece;
