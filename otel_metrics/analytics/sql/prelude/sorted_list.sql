-- What: the values of a group in their order; NULL without rows.
-- Parameters: value. Returns: list.
CREATE MACRO sorted_list(value) AS list_sort(list(value));
