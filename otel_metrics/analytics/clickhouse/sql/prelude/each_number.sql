-- What: a row for each number of a list
-- Parameters: numbers. Returns: Float64.
CREATE OR REPLACE FUNCTION each_number AS (numbers) -> arrayJoin(CAST(numbers, 'Array(Float64)'));
