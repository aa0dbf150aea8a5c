-- What: takes stages that have ended out of running.
-- Parameters: base (the cursor's number before the new stages). Returns: nothing.
DELETE FROM running
WHERE EXISTS (SELECT 1 FROM processing_metrics AS ended WHERE ended.metric_id = running.metric_id AND ended.seq > :base);
