-- What: the first of a list of times from a moment on; NULL where there is none.
-- Parameters: moments, moment. Returns: TIMESTAMP.
CREATE OR REPLACE FUNCTION first_from AS (moments, moment) -> arrayReduce('minOrNull', arrayFilter(one -> one >= moment, moments));
