-- What: what others put on a span, without what its columns tell, as JSON of texts
-- Parameters: attributes (Map). Returns: String; NULL for nothing.
CREATE OR REPLACE FUNCTION attributes_of AS (attributes) -> nullif(toJSONString(mapFilter(
    (k, v) -> NOT startsWith(k, 'hitl.metadata.')
        AND k NOT IN ('session.id', 'user.hash', 'error.type', 'hitl.chat.id', 'hitl.message.id', 'hitl.moderator.id', 'hitl.platform.name', 'hitl.session.outcome', 'hitl.stage.name'),
    attributes
)), '{}');
