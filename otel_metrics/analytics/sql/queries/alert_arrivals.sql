-- What: how many sessions began in a window.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: arrivals.
SELECT count(*) AS arrivals FROM sessions WHERE started_at > $since AND started_at <= $until;
