-- What: a JSON object of texts without two of its keys.
-- Parameters: document, one, other. Returns: JSON text.
CREATE OR REPLACE FUNCTION json_without AS (document, one, other) -> toJSONString(mapFilter((k, v) -> k <> one AND k <> other, JSONExtract(document, 'Map(String, String)')));
