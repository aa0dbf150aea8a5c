-- What: when a stage ended last.
-- Parameters: until (TIMESTAMP, UTC), stage (NULL: any).
-- Returns: last_end (NULL where none ever ended).
SELECT max(end_time) AS last_end FROM processing_metrics WHERE end_time <= $until AND ($stage IS NULL OR stage = $stage);
