-- What: rejections by the reason that was given.
-- Parameters: since, until (TIMESTAMP, UTC). Returns: reason (NULL: none given), count; the most frequent first.
SELECT reason, count(*) AS count
FROM correction_metrics
WHERE timestamp > $since AND timestamp <= $until AND correction_type = 'rejection'
GROUP BY reason
ORDER BY count DESC, reason;
