"""Owns how spans of model calls are seen in the SDK, and put under the stage that is made for one."""

from collections.abc import Mapping
from typing import Any, Protocol

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanContext, SpanKind

from otel_metrics.model import names


class CallObserver(Protocol):
    """Who is told of spans that may be model calls: a boundary, so that telemetry knows no recording."""

    def began(
        self, span: ApiSpan, context: Context, parent_id: int, start_ns: int, attributes: Mapping[str, Any]
    ) -> SpanContext | None:
        """A span began; gives the parent that it is to get instead of its own, if any."""
        ...

    def ended(self, span_id: int, attributes: Mapping[str, Any], *, failed: bool, end_ns: int) -> None:
        """A span ended."""
        ...


def watch(observer: CallObserver | None, span: Span, context: Context) -> None:
    """Tells of a span's start, where it may be a model call."""
    if observer is None:
        return
    attributes = span.attributes or {}
    operation = attributes.get(names.GEN_AI_OPERATION)
    if operation is None and span.kind is not SpanKind.CLIENT:
        return
    parent_id = span.parent.span_id if span.parent else 0
    parent = observer.began(span, context, parent_id, span.start_time or 0, attributes)
    if parent is not None:
        adopt(span, parent)


def tell_end(observer: CallObserver | None, span: ReadableSpan) -> None:
    """Tells of a span's end."""
    if observer is not None and span.context is not None:
        observer.ended(
            span.context.span_id, span.attributes or {}, failed=not span.status.is_ok, end_ns=span.end_time or 0
        )


def adopt(span: Span, parent: SpanContext) -> bool:
    """Puts a span that has just begun under another parent, in that one's trace; False where this SDK's spans do not allow it.

    OpenTelemetry has no public way: who starts a span chooses its parent, and the stage of a model call is made when
    the call begins. Nobody has seen the span's ids by now but processors before ours. Without it the call stays where
    it is, beside its stage.
    """
    own = span.get_span_context()
    if own is None or not (hasattr(span, "_context") and hasattr(span, "_parent")):
        return False
    span._context = SpanContext(
        parent.trace_id, own.span_id, is_remote=False, trace_flags=parent.trace_flags, trace_state=parent.trace_state
    )
    span._parent = parent
    return True
