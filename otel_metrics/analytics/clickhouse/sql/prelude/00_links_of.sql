-- What: a span's links as JSON. Parameters: traces, spans, attributes (Arrays). Returns: String; NULL for none.
CREATE OR REPLACE FUNCTION links_of AS (traces, spans, attributes) -> if(empty(traces), NULL, concat('[', arrayStringConcat(arrayMap(
    (t, s, a) -> concat('{"trace_id":', toJSONString(t), ',"span_id":', toJSONString(s), ',"attributes":', toJSONString(a), '}'),
    traces, spans, attributes
), ','), ']'));
