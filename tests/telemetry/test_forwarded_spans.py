"""What a collector gets from the log is what the SDK would have sent: every part of every span, but for nanoseconds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from support.otlp import HttpReceiver

import otel_metrics
from otel_metrics import MetricsService


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as made:
        yield made


@pytest.fixture
def sent(tmp_path: Path, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[MetricsService]:
    """A service in a provider of ours that sends to the receiver."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.endpoint}/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=bot,tier=1")
    yield otel_metrics.configure(database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl")


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


def test_spans_arrive_as_the_sdk_would_have_sent_them(sent: MetricsService, receiver: HttpReceiver) -> None:
    """Names, ids, parents, kinds, states, times, statuses, attributes, events, links, scopes and resources are the same."""
    kept = InMemorySpanExporter()
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(kept))  # type: ignore[attr-defined]
    play()
    sent.flush()
    expected = whole(encode_spans(kept.get_finished_spans()))
    (request,) = receiver.traces
    arrived = whole(request)
    assert sorted(one[3].name for one in expected.values()) == [
        "ai_processing", "chat", "final_response", "hitl.correction", "inner", "of no session", "session",
    ]  # fmt: skip
    assert arrived.keys() == expected.keys()
    for span_id, one in expected.items():
        assert [str(part) for part in arrived[span_id]] == [str(part) for part in one], one[3].name


def test_sampled_out_sessions_are_not_sent(
    tmp_path: Path, receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sampler of the standard variables decides what is sent, and the local store keeps everything."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    service = otel_metrics.configure(database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl")
    play()
    service.flush()
    assert receiver.traces == []
    assert service.sql("SELECT count(*) AS n FROM processing_metrics") == [{"n": 2}]


def test_cursor_that_is_damaged_sends_again_rather_than_not(sent: MetricsService, receiver: HttpReceiver) -> None:
    """When the file of the cursor can not be read, what the logs hold is sent once more."""
    otel_metrics.record_stage("s", 1, 2, "ai_processing", start_time=1.0)
    sent.flush()
    sent.settings.log_file.with_name("metrics.forward").write_text("{")
    sent.flush()
    assert len(receiver.spans()) == 2
    sent.flush()
    assert len(receiver.spans()) == 2


def test_log_that_lost_its_tail_does_not_hold_up_the_sending(sent: MetricsService, receiver: HttpReceiver) -> None:
    """Where a log is shorter than what the tables have of it, as after a power failure, what is there is sent."""
    for number in range(3):
        otel_metrics.record_stage("s", 1, 2, "ai_processing", start_time=1.0, number=number)
    sent.storage.drain()
    log = sent.settings.log_file
    whole = log.read_bytes()
    log.write_bytes(whole[: whole.rindex(b'{"kind":"stage"')])
    sent.flush()
    assert 2 <= len(receiver.spans()) <= 3  # the background may have been faster
    otel_metrics.record_stage("s", 1, 2, "ai_processing", start_time=1.0, number=4)
    sent.flush()
    assert len(receiver.spans()) >= 3
