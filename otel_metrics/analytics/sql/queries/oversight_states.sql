-- What: how the deliveries of a period stand to what was approved.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: state (see the macro deliveries), deliveries.
SELECT state, count(*) AS deliveries FROM deliveries($since, $until) GROUP BY state ORDER BY state;
