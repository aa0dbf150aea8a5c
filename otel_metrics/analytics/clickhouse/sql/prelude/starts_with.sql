-- What: whether a text begins with another
-- Parameters: text, beginning. Returns: Bool.
CREATE OR REPLACE FUNCTION starts_with AS (text, beginning) -> startsWith(text, beginning);
