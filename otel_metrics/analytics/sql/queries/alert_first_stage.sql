-- What: when the first stage ended that is there.
-- Parameters: until (TIMESTAMP, UTC).
-- Returns: first_end (NULL where none did).
SELECT min(end_time) AS first_end FROM processing_metrics WHERE end_time <= $until;
