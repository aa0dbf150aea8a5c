-- What: whether a text is JSON.
-- Parameters: document. Returns: Bool.
CREATE OR REPLACE FUNCTION json_valid AS (document) -> isValidJSON(ifNull(document, ''));
