"""Owns the spans of stages on the OpenTelemetry API alone: what works in anybody's provider."""

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Span, SpanContext, Status, StatusCode, Tracer

from otel_metrics.model import names, pending
from otel_metrics.model.attributes import metadata_attributes, stage_attributes
from otel_metrics.model.identity import IdHasher
from otel_metrics.model.records import ProcessingMetric
from otel_metrics.recording.guard import Guard

_ERROR = Status(StatusCode.ERROR)


class ApiStageSpans:
    """Makes stage spans with a tracer of the API; the store's processor finds the record in the context."""

    def __init__(self, tracer: Tracer, root_tracer: Tracer, hasher: IdHasher, guard: Guard) -> None:
        self._tracer = tracer
        self._tracer_with_ids = root_tracer
        self._hasher = hasher
        self._guard = guard

    def start(
        self, record: ProcessingMetric, parent: SpanContext, context: Context, start_ns: int, span_id: int = 0
    ) -> Span:
        """Starts the span under the span of the context, which `parent` is the context of."""
        attributes = stage_attributes(record, self._hasher)
        carrying = Context({**context, names.STAGE_CONTEXT: record})
        if span_id:
            token = attach(Context({**get_current(), names.ROOT_CONTEXT: (parent.trace_id, span_id)}))
            try:
                span = self._tracer_with_ids.start_span(
                    record.stage, carrying, attributes=attributes, start_time=start_ns
                )
            finally:
                detach(token)
        else:
            span = self._tracer.start_span(record.stage, carrying, attributes=attributes, start_time=start_ns)
        if not span.is_recording():
            self._guard.lost("not_recording")
        elif not record.span_id:
            # No processor of ours saw the start; an exporter of ours may still see the end.
            started = span.get_span_context()
            pending.tie(record, started.span_id, int(started.trace_flags), start_ns)
        return span

    def end(self, record: ProcessingMetric, span: Span, end_ns: int) -> None:
        """Brings late metadata and a failure to the span, and ends it."""
        if span.is_recording():
            span.set_attributes(metadata_attributes(record.metadata))
            if isinstance(record.error_type, str):
                span.set_attribute(names.ERROR_TYPE, record.error_type)
                span.set_status(_ERROR)
        span.end(end_time=end_ns)
