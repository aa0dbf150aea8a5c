-- What: the first of a list of times from a moment on; NULL where there is none.
-- Parameters: moments, moment. Returns: TIMESTAMP.
-- The type is named, because DuckDB 2.0.0 can not make a list_min of a list whose type it does not know yet.
CREATE MACRO first_from(moments, moment) AS list_min(list_filter(CAST(moments AS TIMESTAMP[]), lambda one: one >= moment));
