-- What: since when the newest decisions of a period were made.
-- Parameters: since, until (TIMESTAMP, UTC), limit (so many of them; NULL: all).
-- Returns: since (a microsecond before the first of them; NULL where there is none).
SELECT min(time) - INTERVAL 1 MICROSECOND AS since FROM (SELECT time FROM decisions($since, $until) ORDER BY time DESC LIMIT $limit);
