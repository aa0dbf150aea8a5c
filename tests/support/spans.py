"""Spans with everything that a span can have, and how two requests that hold them are compared."""

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

import otel_metrics


def far_away(number: int, *, state: TraceState | None = None) -> SpanContext:
    return SpanContext(number, number, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)


def play() -> None:
    """Spans with everything that a span can have."""
    tracer = trace.get_tracer("some.library", "1.2.3")
    session = otel_metrics.create_session(71, -100_200, platform="telegram", nested={"a": [1, 2]})
    with otel_metrics.timer(session, 71, -100_200, "ai_processing", model="m", tokens=7, score=0.5) as stage:
        assert stage.span is not None
        stage.span.add_event("retried", {"n": 2, "why": "busy"})
        stage.span.set_attribute("gen_ai.request.model", "m-large")
        stage.span.add_link(far_away(5), {"cause": True})
        with tracer.start_as_current_span(
            "chat", kind=SpanKind.CLIENT, links=[Link(far_away(6), {"w": (1, 2)})]
        ) as span:
            span.set_attributes({"list": [1.5, 2.5], "flag": False, "text": "日本語", "big": 2**62})
            span.add_event("token", {"index": 1})
            with tracer.start_as_current_span("inner"):
                pass
    with pytest.raises(KeyError), otel_metrics.timer(session, 71, -100_200, "final_response"):
        raise KeyError("secret text")
    otel_metrics.record_correction(session, 9, "m", "rejection", "a draft", None, 1200)
    parent = trace.set_span_in_context(trace.NonRecordingSpan(far_away(77, state=TraceState([("v", "1")]))))
    with tracer.start_as_current_span("of no session", context=parent, kind=SpanKind.SERVER) as span:
        span.set_status(Status(StatusCode.ERROR))
    otel_metrics.end_session(session, "failed")
    otel_metrics.create_session(1, 1)


def whole(request: Any) -> dict[str, Any]:
    """Spans by id with their resource and scope, times in microseconds, in an order that does not depend on chance."""
    found = {}
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                for timed in (span, *span.events):
                    for name in ("start_time_unix_nano", "end_time_unix_nano", "time_unix_nano"):
                        if hasattr(timed, name):
                            setattr(timed, name, getattr(timed, name) // 1000)
                for attributed in (span, *span.events, *span.links):
                    attributed.attributes.sort(key=lambda one: one.key)
                labels = sorted((one.key, one.value.string_value) for one in resource.resource.attributes)
                found[span.span_id.hex()] = (labels, scope.scope.name, scope.scope.version, span)
    return found
