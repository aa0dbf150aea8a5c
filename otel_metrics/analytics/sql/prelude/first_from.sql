-- What: the first of a list of times from a moment on; NULL where there is none.
-- Parameters: moments, moment. Returns: TIMESTAMP.
CREATE MACRO first_from(moments, moment) AS list_sort(list_filter(moments, lambda one: one >= moment))[1];
