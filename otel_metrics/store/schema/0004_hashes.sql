-- What: keyed hashes of the texts of a correction, by which an approved text and a delivered one can be compared
-- without keeping either. NULL in rows of before.
ALTER TABLE correction_metrics ADD COLUMN original_hash TEXT;
ALTER TABLE correction_metrics ADD COLUMN corrected_hash TEXT;
