-- What: when the first stage of a time ended.
-- Parameters: since, until (TIMESTAMP, UTC).
-- Returns: first_end (NULL where none did).
SELECT min(end_time) AS first_end FROM processing_metrics WHERE end_time > $since AND end_time <= $until;
