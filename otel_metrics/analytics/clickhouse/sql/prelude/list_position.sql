-- What: where a value stands in a list, from 1 on; NULL where it does not
-- Parameters: list, value. Returns: UInt64.
CREATE OR REPLACE FUNCTION list_position AS (list, value) -> nullif(indexOf(list, value), 0);
