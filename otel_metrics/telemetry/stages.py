"""Owns the stage span of our own provider: an API span that costs a fraction of the SDK's, and becomes one when it is exported.

The SDK's span spends most of its time on copies and locks that a stage, whose facts already stand in a record, does not
need. So the record is the span's memory; attributes are made from it when somebody asks. Other processors of the
provider get a whole `ReadableSpan`. In a provider that is not ours stages are the SDK's own spans.
"""

import random
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Span, SpanContext, Status, StatusCode
from opentelemetry.util.types import Attributes, AttributeValue

from otel_metrics.model.attributes import stage_attributes
from otel_metrics.model.identity import IdHasher, record_id
from otel_metrics.model.records import ProcessingMetric, SessionEnd
from otel_metrics.telemetry.exporter import StoreSpanExporter
from otel_metrics.telemetry.pipeline import Pipeline

_ERROR = Status(StatusCode.ERROR)
_UNSET = Status(StatusCode.UNSET)


class StageSpan(Span):
    """The span of a stage in progress. What others set on it is kept beside the record."""

    __slots__ = (
        "_context",
        "_spans",
        "attributes_set",
        "end_time",
        "events",
        "links",
        "name",
        "parent",
        "record",
        "start_time",
        "status",
    )

    def __init__(
        self,
        spans: "FastStageSpans",
        record: ProcessingMetric,
        context: SpanContext,
        parent: SpanContext,
        start_ns: int,
    ) -> None:
        self._spans = spans
        self._context = context
        self.record = record
        self.name = record.stage
        self.parent = parent
        self.start_time = start_ns
        self.end_time: int | None = None
        self.status = _UNSET
        self.attributes_set: dict[str, Any] | None = None
        self.events: list[Event] | None = None
        self.links: list[Link] | None = None

    @property
    def attributes(self) -> Mapping[str, Any]:
        """All attributes: those of the record, and those that were set on the span."""
        return {**stage_attributes(self.record, self._spans.hasher), **(self.attributes_set or {})}

    def get_span_context(self) -> SpanContext:
        """The span's ids and flags."""
        return self._context

    def is_recording(self) -> bool:
        """Whether the stage is still in progress."""
        return self.end_time is None

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Keeps an attribute beside the record's own."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Keeps attributes beside the record's own."""
        if self.end_time is None:
            self.attributes_set = {**(self.attributes_set or {}), **attributes}

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Keeps an event; the SDK's limits are applied where it is exported."""
        if self.end_time is None:
            self.events = [*(self.events or ()), Event(name, dict(attributes or {}), timestamp)]

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Keeps a link to another span."""
        if self.end_time is None:
            self.links = [*(self.links or ()), Link(context, dict(attributes or {}))]

    def update_name(self, name: str) -> None:
        """Renames the span; the stage keeps its name."""
        if self.end_time is None:
            self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Takes a status by the SDK's rules: OK is final, unset is ignored."""
        if isinstance(status, StatusCode):
            status = Status(status, description)
        if self.end_time is None and self.status.status_code is not StatusCode.OK and not status.is_unset:
            self.status = status

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - OpenTelemetry's signature
    ) -> None:
        """Keeps the type of an exception and not its message, which may hold a user's text."""
        kind = type(exception)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        self.add_event(
            "exception", {"exception.type": name, "exception.escaped": str(escaped), **(attributes or {})}, timestamp
        )

    def end(self, end_time: int | None = None) -> None:
        """Ends the stage, which writes its line; a second end does nothing."""
        if self.end_time is None:
            self.end_time = time.time_ns() if end_time is None else end_time
            self._spans.ended(self)


class FastStageSpans:
    """Makes stage spans for our own provider, whose pipeline is ours too."""

    def __init__(
        self,
        provider: TracerProvider,
        pipeline: Pipeline,
        exporter: StoreSpanExporter,
        hasher: IdHasher,
        scope: InstrumentationScope,
    ) -> None:
        self.hasher = hasher
        self._provider = provider
        self._pipeline = pipeline
        self._exporter = exporter
        self._scope = scope
        self._limits = SpanLimits()

    def start(
        self, record: ProcessingMetric, parent: SpanContext, context: Context, start_ns: int, span_id: int = 0
    ) -> Span:
        """Starts a span under `parent`, whose flags it shares: a session is sampled whole or not at all."""
        span_id = span_id or random.getrandbits(64) or 1
        span_context = SpanContext(parent.trace_id, span_id, False, parent.trace_flags, parent.trace_state)
        record.span_id = f"{span_id:016x}"
        record.flags = int(parent.trace_flags)
        record.metric_id = record_id(start_ns, span_id)
        span = StageSpan(self, record, span_context, parent, start_ns)
        if not record.end_time:
            self._exporter.write_begin(record)
        for processor in self._pipeline.others:
            processor.on_start(span, context)  # type: ignore[arg-type]
        return span

    def end(self, record: ProcessingMetric, span: Span, end_ns: int) -> None:
        """Ends the span; a failure in the record becomes its status."""
        if isinstance(record.error_type, str):
            span.set_status(_ERROR)
        span.end(end_ns)

    def root(self, record: SessionEnd, flags: int, end_ns: int) -> bool:
        """Writes the line of a session's end, unless other processors are to see a span of it: then it is the SDK's."""
        if self._pipeline.others:
            return False
        self._exporter.write_root(record, flags, end_ns)
        return True

    def ended(self, span: StageSpan) -> None:
        """Writes the line first, then hands a readable span to the other processors."""
        self._exporter.write_stage(
            span.record, span.start_time, span.end_time or 0, span.status.status_code, span.attributes_set, span.events,
            span.links,
        )  # fmt: skip
        others = self._pipeline.others
        if others:
            readable = self._readable(span)
            self._exporter.mark_written(readable)
            for processor in others:
                processor.on_end(readable)

    def _readable(self, span: StageSpan) -> ReadableSpan:
        limits = self._limits
        for event in span.events or ():
            event._attributes = BoundedAttributes(
                limits.max_event_attributes, event.attributes, max_value_len=limits.max_attribute_length
            )
        events = BoundedList.from_seq(limits.max_events, span.events or ())
        return ReadableSpan(
            name=span.name, context=span.get_span_context(), parent=span.parent, resource=self._provider.resource,
            attributes=BoundedAttributes(
                limits.max_span_attributes, dict(span.attributes), max_value_len=limits.max_span_attribute_length
            ),
            events=events, links=BoundedList.from_seq(limits.max_links, span.links or ()), status=span.status,
            start_time=span.start_time, end_time=span.end_time, instrumentation_scope=self._scope,
        )  # fmt: skip
