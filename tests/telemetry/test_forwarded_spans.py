"""What a collector gets from the log is what the SDK would have sent: every part of every span, but for nanoseconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.otlp import HttpReceiver
from support.spans import play, whole

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
