"""Model calls in progress: what becomes of those that nobody ends."""

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from support.stores import rows

from otel_metrics import MetricsService
from otel_metrics.instrumentation.handling import handle
from otel_metrics.recording import calls
from otel_metrics.testing import SteppedClock


def test_calls_that_nobody_ends_leave_nothing_behind(service: MetricsService, clock: SteppedClock, monkeypatch) -> None:
    """Beyond the bound the oldest call is given up: its own stage ends as failed, and its sums are let go of."""
    monkeypatch.setattr(calls, "_MOST", 2)
    tracer = trace.get_tracer("a library")
    now_ns = clock.time_ns()
    with handle(1, 2, {"platform": "telegram"}):
        spans = [
            tracer.start_span(
                "chat", kind=SpanKind.CLIENT, attributes={"gen_ai.operation.name": "chat"}, start_time=now_ns + second * 10**9
            )
            for second in range(4)
        ]  # fmt: skip
        assert len(service.kit.usage) == 2
        for span in spans:
            span.end(end_time=now_ns + 10 * 10**9)
        assert service.kit.usage == {}
    found = rows(service, "processing_metrics", "stage = 'ai_processing' ORDER BY start_time")
    assert [(row["success"], row["error_type"], row["duration_ms"]) for row in found] == [
        (0, "not_ended", 2000), (0, "not_ended", 2000), (1, None, 8000), (1, None, 7000),
    ]  # fmt: skip
    assert rows(service, "running") == []


def test_a_call_whose_figures_fail_still_ends_its_stage(lenient: MetricsService, monkeypatch) -> None:
    """What goes wrong with the sums is warned about and costs the stage nothing."""
    monkeypatch.setattr(calls, "tokens_of", lambda _: 1 / 0)
    with handle(1, 2, {"platform": "telegram"}), pytest.warns(RuntimeWarning, match="model_call failed"):
        trace.get_tracer("a library").start_span(
            "chat", kind=SpanKind.CLIENT, attributes={"gen_ai.operation.name": "chat"}
        ).end()
    assert rows(lenient, "processing_metrics", "stage = 'ai_processing'")[0]["success"] == 1
    assert rows(lenient, "running") == []
