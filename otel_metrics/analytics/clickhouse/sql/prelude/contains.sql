-- What: whether a text holds another
-- Parameters: text, part. Returns: Bool.
CREATE OR REPLACE FUNCTION contains AS (text, part) -> position(text, part) > 0;
