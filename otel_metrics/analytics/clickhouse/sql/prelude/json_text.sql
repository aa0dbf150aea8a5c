-- What: the value of a key in a JSON object as text; NULL where there is none
-- Parameters: document, key. Returns: String.
CREATE OR REPLACE FUNCTION json_text AS (document, key) -> if(JSONHas(ifNull(document, ''), key), if(JSONType(ifNull(document, ''), key) = 'String', JSONExtractString(ifNull(document, ''), key), JSONExtractRaw(ifNull(document, ''), key)), NULL);
