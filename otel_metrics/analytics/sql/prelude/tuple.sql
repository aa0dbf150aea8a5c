-- What: values side by side, which compare one after the other.
-- Parameters: two to six values. Returns: STRUCT without names.
CREATE MACRO tuple(a, b) AS row(a, b), (a, b, c) AS row(a, b, c), (a, b, c, d) AS row(a, b, c, d), (a, b, c, d, e, f) AS row(a, b, c, d, e, f);
