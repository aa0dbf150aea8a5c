-- What: whether any is true; NULL without rows
-- Parameters: flag. Returns: Bool.
CREATE OR REPLACE FUNCTION bool_or AS (flag) -> max(flag);
