-- What: values side by side, which compare one after the other. The names are there because DuckDB 1.5 can not take parts
--   of a STRUCT without any.
-- Parameters: two to six values. Returns: STRUCT.
CREATE MACRO tuple(a, b) AS {'a': a, 'b': b}, (a, b, c) AS {'a': a, 'b': b, 'c': c}, (a, b, c, d) AS {'a': a, 'b': b, 'c': c, 'd': d}, (a, b, c, d, e, f) AS {'a': a, 'b': b, 'c': c, 'd': d, 'e': e, 'f': f};
