"""Owns the spans of stages and sessions on the OpenTelemetry API alone: what works in anybody's provider."""

from collections.abc import Callable

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Span, SpanContext, Status, StatusCode, Tracer, set_span_in_context

from otel_metrics.model import names, pending
from otel_metrics.model.attributes import metadata_attributes, root_attributes, stage_attributes
from otel_metrics.model.identity import IdHasher
from otel_metrics.model.records import ProcessingMetric, SessionEnd
from otel_metrics.model.vocabulary import SessionOutcome
from otel_metrics.recording.guard import Guard
from otel_metrics.recording.kit import Ledger, RootSpan

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


class ApiRootSpans:
    """Makes the root spans of sessions with a tracer of the API, each when its session has ended.

    `root_tracer` is one that can give a span the ids that stand in the context, if the provider allows that. `quickly`
    writes the line without a span where nobody but the store would see it, and says whether it did.
    """

    def __init__(
        self, tracer: Tracer, root_tracer: Tracer, ledger: Ledger, hasher: IdHasher, guard: Guard,
        quickly: Callable[[SessionEnd, int, int], bool] | None,
    ) -> None:  # fmt: skip
        self._tracer = tracer
        self._root_tracer = root_tracer
        self._ledger = ledger
        self._hasher = hasher
        self._guard = guard
        self._quickly = quickly

    def emit(self, record: SessionEnd, root: RootSpan, start_ns: int, end_ns: int) -> None:
        """Emits the root span with its ids; where the provider makes its own, as a child of the root that is not there."""
        if self._quickly is not None and self._quickly(record, int(root.context.trace_flags), end_ns):
            return
        root_id = root.context.span_id
        attributes = root_attributes(record, self._hasher)
        # The ids reach the tracer's id generator by the attached context (the one given to start_span is not seen by it).
        token = attach(Context({**get_current(), names.ROOT_CONTEXT: (root.trace_id, root_id)}))
        try:
            pending.put(root_id, record)
            span = self._root_tracer.start_span(
                names.SESSION_SPAN, Context(), attributes=attributes, start_time=start_ns
            )
        finally:
            detach(token)
        if span.is_recording() and span.get_span_context().span_id != root_id:
            self._guard.misses_ids()
            pending.pop(root_id)
            span = self._tracer.start_span(
                names.SESSION_SPAN, set_span_in_context(root), attributes=attributes, start_time=start_ns
            )
            pending.put(span.get_span_context().span_id, record)
        if not span.is_recording():  # the session's end is kept all the same
            pending.pop(root_id)
            record.timestamp = record.end_time
            self._ledger.append(record)
        if record.outcome == SessionOutcome.FAILED:
            span.set_status(_ERROR)
        span.end(end_time=end_ns)
