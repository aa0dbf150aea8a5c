-- What: how often each moderator decided what in a period.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: moderator_id (NULL: not told), approved, edited, rejected, other (another word of the metadata), decisions.
SELECT
    moderator_id,
    count(*) FILTER (WHERE decision = 'approved') AS approved,
    count(*) FILTER (WHERE decision = 'edited') AS edited,
    count(*) FILTER (WHERE decision = 'rejected') AS rejected,
    count(*) FILTER (WHERE decision NOT IN ('approved', 'edited', 'rejected')) AS other,
    count(*) AS decisions
FROM decisions($since, $until)
GROUP BY moderator_id
ORDER BY decisions DESC, moderator_id;
