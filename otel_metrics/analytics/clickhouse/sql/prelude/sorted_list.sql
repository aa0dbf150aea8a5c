-- What: the values of a group in their order; empty without rows, where DuckDB says NULL
-- Parameters: value. Returns: Array.
CREATE OR REPLACE FUNCTION sorted_list AS (value) -> arraySort(groupArray(value));
