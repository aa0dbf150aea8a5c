-- What: the value of a key in a JSON object as text; NULL where there is none, or no JSON.
-- Parameters: document, key. Returns: VARCHAR.
CREATE MACRO json_text(document, key) AS json_extract_string(
    CASE WHEN contains(document, '"' || key || '"') AND json_valid(document) THEN document END, '$."' || key || '"'
);
