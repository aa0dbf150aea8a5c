-- What: a JSON object of texts without two of its keys.
-- Parameters: document, one, other. Returns: JSON text.
CREATE MACRO json_without(document, one, other) AS json_merge_patch(document, '{"' || one || '": null, "' || other || '": null}')::VARCHAR;
