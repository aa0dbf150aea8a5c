-- What: figures over the recorded values of one type of system metric; values that are no numbers do not count.
-- Parameters: since, until (TIMESTAMP, UTC), type, quantile (0 to 1).
-- Returns: count, mean, min, max, sum, last, quantile (interpolated).
SELECT
    count(number) AS count, avg(number) AS mean, min(number) AS min, max(number) AS max, sum(number) AS sum,
    max_by(number, tuple(timestamp, id)) AS last, quantile_cont(number, $quantile) AS quantile
FROM (
    SELECT id, timestamp, as_number(value) AS number
    FROM system_metrics
    WHERE timestamp > $since AND timestamp <= $until AND metric_type = $type
)
WHERE isfinite(number);
