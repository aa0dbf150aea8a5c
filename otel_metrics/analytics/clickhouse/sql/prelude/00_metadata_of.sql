-- What: a user's own metadata out of a span's attributes, as JSON of texts.
-- Parameters: attributes (Map). Returns: String.
CREATE OR REPLACE FUNCTION metadata_of AS (attributes) -> toJSONString(
    mapApply((k, v) -> (substring(k, 15), v), mapFilter((k, v) -> startsWith(k, 'hitl.metadata.'), attributes))
);
