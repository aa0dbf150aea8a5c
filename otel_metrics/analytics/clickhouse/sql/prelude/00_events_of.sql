-- What: a span's events as JSON. Parameters: moments, names, attributes (Arrays). Returns: String; NULL for none.
CREATE OR REPLACE FUNCTION events_of AS (moments, names, attributes) -> if(empty(names), NULL, concat('[', arrayStringConcat(arrayMap(
    (m, n, a) -> concat(
        '{"name":', toJSONString(n::String), ',"timestamp":"', formatDateTime(toDateTime64(m, 6, 'UTC'), '%Y-%m-%dT%H:%i:%S.%f'), 'Z","attributes":', toJSONString(a), '}'
    ), moments, names, attributes
), ','), ']'));
