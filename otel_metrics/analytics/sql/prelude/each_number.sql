-- What: a row for each number of a list.
-- Parameters: numbers. Returns: DOUBLE.
CREATE MACRO each_number(numbers) AS unnest(numbers::DOUBLE[]);
