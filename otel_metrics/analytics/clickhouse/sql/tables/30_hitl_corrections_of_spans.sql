-- What: takes the corrections out of the spans that are inserted.
CREATE MATERIALIZED VIEW IF NOT EXISTS hitl_corrections_of_spans TO hitl_corrections (timestamp DateTime64(6, 'UTC'), session_id String, attributes Map(LowCardinality(String), String)) AS
SELECT event.1 AS timestamp, SpanAttributes['session.id'] AS session_id, event.3 AS attributes
FROM otel_traces
ARRAY JOIN arrayZip(Events.Timestamp, Events.Name, Events.Attributes) AS event
WHERE event.2 = 'hitl.correction' AND SpanAttributes['session.id'] <> '';
