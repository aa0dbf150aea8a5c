"""Owns the current span of an update's handling: one that tells the truth also to what outlives the handling."""

from collections.abc import Mapping

from opentelemetry.trace import INVALID_SPAN, Span, SpanContext, Status, StatusCode
from opentelemetry.util.types import Attributes, AttributeValue


class HandlingSpan(Span):
    """Stands for another span: first a stage's, then the session's root, and none at all when the session is over.

    Contexts are copied into tasks, timers and jobs, and copies can not be taken back. What such a copy starts after the
    handling's end finds no parent here, and becomes a trace of its own.
    """

    def __init__(self, span: Span) -> None:
        self._span = span

    def stand_for(self, span: Span) -> None:
        """Stands for another span from now on."""
        self._span = span

    def stand_for_none(self) -> None:
        """What begins from now on is of no session."""
        self._span = INVALID_SPAN

    def get_span_context(self) -> SpanContext:
        """The ids of the span that is stood for."""
        return self._span.get_span_context()

    def is_recording(self) -> bool:
        """Whether that span takes anything."""
        return self._span.is_recording()

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Passed on."""
        self._span.set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Passed on."""
        self._span.set_attributes(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Passed on."""
        self._span.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Passed on."""
        self._span.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Passed on."""
        self._span.update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Passed on."""
        self._span.set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - OpenTelemetry's signature
    ) -> None:
        """Passed on."""
        self._span.record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """Whoever finds this span as the current one does not own it, so nothing ends."""
