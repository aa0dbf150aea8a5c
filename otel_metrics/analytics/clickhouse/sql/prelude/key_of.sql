-- What: a text as a number of 64 bits
-- Parameters: text. Returns: UInt64; NULL for NULL.
CREATE OR REPLACE FUNCTION key_of AS (text) -> cityHash64(text);
