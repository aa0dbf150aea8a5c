-- What: the time so many hours before another.
-- Parameters: moment (a parameter), hours. Returns: TIMESTAMP.
CREATE MACRO hours_before(moment, hours) AS moment::TIMESTAMP - to_microseconds((hours * 3600000000)::BIGINT);
