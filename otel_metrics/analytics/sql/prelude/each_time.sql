-- What: a row for each time of a list.
-- Parameters: moments. Returns: TIMESTAMP.
CREATE MACRO each_time(moments) AS unnest(moments::TIMESTAMP[]);
