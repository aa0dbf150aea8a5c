-- What: the numeric system metrics of a window: in all and by hour.
-- Parameters: since, until (TIMESTAMP, UTC), shift_us (the zone's offset from UTC within an hour), metric (NULL: all).
-- Returns: metric_type, host (the tag, or else the process's), unit (the tag; NULL without), labels (the other tags, JSON
--   text), hour (its beginning in UTC; NULL but in rows of an hour), samples, latest, latest_at, mean, max, min.
WITH read AS (
    SELECT timestamp, metric_type, as_number(value) AS value, coalesce(tags, '{}') AS tags, process
    FROM system_metrics
    WHERE timestamp > $since AND timestamp <= $until AND ($metric IS NULL OR metric_type = $metric)
),
labels AS (
    SELECT
        tags, json_text(valid, 'host') AS host, json_text(valid, 'unit') AS unit,
        json_without(valid, 'host', 'unit') AS labels
    FROM (SELECT tags, CASE WHEN json_valid(tags) THEN tags ELSE '{}' END AS valid FROM (SELECT DISTINCT tags FROM read))
)
SELECT
    metric_type, coalesce(l.host, p.host) AS host, l.unit, l.labels,
    make_timestamp(int_div(epoch_us(timestamp) + $shift_us, 3600000000) * 3600000000 - $shift_us) AS hour, count(*) AS samples,
    max_by(value, timestamp) AS latest, max(timestamp) AS latest_at, avg(value) AS mean, max(value) AS max, min(value) AS min
FROM read
JOIN labels AS l USING (tags)
LEFT JOIN processes AS p USING (process)
WHERE isfinite(value)
GROUP BY GROUPING SETS ((metric_type, coalesce(l.host, p.host), l.unit, l.labels), (metric_type, coalesce(l.host, p.host), l.unit, l.labels, hour))
ORDER BY metric_type, host, labels, unit, hour;
