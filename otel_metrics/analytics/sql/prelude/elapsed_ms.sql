-- What: milliseconds between two times, with microseconds behind the point; NULL where one is missing.
-- Parameters: since, until (TIMESTAMP). Returns: DOUBLE.
CREATE MACRO elapsed_ms(since, until) AS (epoch_us(until) - epoch_us(since)) / 1000.0;
