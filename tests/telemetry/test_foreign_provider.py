"""The store inside a `TracerProvider` that somebody else built."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from support.stores import lines, only_row, rows

import otel_metrics
from otel_metrics import MetricsService, StoreSpanExporter, StoreSpanProcessor
from otel_metrics.model.identity import root_span_id_of, trace_id_of

SESSION = "65a1b2c3000000ff0123456789abcdef"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environment says that the store is; gives its database."""
    monkeypatch.setenv("METRICS_DATABASE", str(tmp_path / "metrics.db"))
    monkeypatch.setenv("METRICS_LOG_FILE", str(tmp_path / "metrics.jsonl"))
    monkeypatch.setenv("METRICS_DRAIN_INTERVAL", "0")
    return tmp_path / "metrics.db"


@pytest.fixture
def provider(store: Path) -> Iterator[TracerProvider]:
    """The user's own provider, already the process's."""
    made = TracerProvider(shutdown_on_exit=False)
    trace.set_tracer_provider(made)
    yield made
    made.shutdown()


def record_a_session() -> MetricsService:
    """A session with a stage, a child span of another library, a correction in the stage and one outside, and an end."""
    session_id = otel_metrics.create_session(5, 6)
    with (
        otel_metrics.timer(session_id, 5, 6, "admin_review", model="m") as stage,
        trace.get_tracer("httpx").start_as_current_span("GET"),
    ):
        stage.metadata["late"] = True
        otel_metrics.record_correction(session_id, 7, "m1", "text_correction", "a", "b", 1)
    otel_metrics.record_correction(session_id, 7, "m2", "rejection", "a", "b", 1)
    otel_metrics.end_session(session_id)
    return otel_metrics.get_metrics_service()


def assert_each_arrived_once(service: MetricsService) -> None:
    """What `record_a_session` recorded is in the tables and in the log, each thing once."""
    kinds = [line["kind"] for line in lines(service)]
    assert sorted(kinds) == sorted(
        ["file", "process", "session", "begin", "correction", "span", "stage", "correction", "span", "end"]
    )
    stage = only_row(service, "processing_metrics")
    assert (stage["stage"], stage["user_id"], stage["metadata"]) == ("admin_review", 5, {"model": "m", "late": True})
    assert [event["name"] for event in stage["events"]] == ["hitl.correction"]
    spans = {row["name"]: row for row in rows(service, "spans")}
    assert set(spans) == {"GET", "hitl.correction", "session"}
    root_id = f"{root_span_id_of(trace_id_of(stage['session_id'])):016x}"
    assert (spans["session"]["span_id"], spans["session"]["parent_span_id"]) == (root_id, "")
    assert (stage["parent_span_id"], spans["GET"]["parent_span_id"]) == (root_id, stage["span_id"])
    assert len(rows(service, "correction_metrics")) == 2
    assert only_row(service, "sessions")["outcome"] == "delivered"
    assert rows(service, "running") == []


@pytest.mark.parametrize("way", ["nothing", "processor", "simple", "batch", "simple and processor", "all twice"])
def test_each_span_arrives_once_whatever_was_added(provider: TracerProvider, way: str) -> None:
    """Whether the user added our processor, our exporter, both or none, every span is in the store once."""
    if way in {"simple", "simple and processor", "all twice"}:
        provider.add_span_processor(SimpleSpanProcessor(StoreSpanExporter()))
    if way in {"processor", "simple and processor", "all twice"}:
        provider.add_span_processor(StoreSpanProcessor())
    if way in {"batch", "all twice"}:
        provider.add_span_processor(BatchSpanProcessor(StoreSpanExporter()))
    if way == "all twice":
        provider.add_span_processor(StoreSpanProcessor())
    service = record_a_session()
    provider.force_flush()
    assert_each_arrived_once(service)
    assert service.losses.snapshot() == {}


def test_parts_added_later_write_nothing_twice(provider: TracerProvider, store: Path) -> None:
    """Our exporter added after the service began changes nothing."""
    otel_metrics.get_metrics_service()
    provider.add_span_processor(SimpleSpanProcessor(StoreSpanExporter()))
    provider.add_span_processor(StoreSpanProcessor())
    assert_each_arrived_once(record_a_session())


def test_provider_of_ours_takes_our_exporter_too(service: MetricsService) -> None:
    """Our exporter added to the provider that we built does not double the stages."""
    exporter = StoreSpanExporter(settings=service.settings)
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))  # type: ignore[attr-defined]
    with service.timer(SESSION, 1, 2, "ai_processing"), trace.get_tracer("x").start_as_current_span("inner"):
        pass
    assert len(rows(service, "processing_metrics")) == 1
    assert [row["name"] for row in rows(service, "spans")] == ["inner"]


def test_processor_works_without_a_service(provider: TracerProvider, store: Path) -> None:
    """With our processor alone, spans that carry `session.id`, or belong to a trace of ours, are kept; others are not."""
    provider.add_span_processor(StoreSpanProcessor())
    tracer = provider.get_tracer("app")
    with tracer.start_as_current_span("with session", attributes={"session.id": "order 17", "n": 1}) as span:
        span.set_status(trace.StatusCode.ERROR)
    with tracer.start_as_current_span("without"):
        pass
    found = [line for line in lines(store.with_suffix(".jsonl")) if line["kind"] == "span"]
    assert [(line["name"], line["session_id"], line["success"]) for line in found] == [
        ("with session", "order 17", False)
    ]
    assert otel_metrics.get_metrics_service().storage.drain(1).stored >= 1
    assert only_row(store, "spans")["attributes"] == {"n": 1}


def test_other_processors_get_the_whole_span(provider: TracerProvider) -> None:
    """A processor of the user's sees the same stage, with hashes for ids and no message of an error."""
    seen = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(seen))
    with (
        pytest.raises(RuntimeError),
        otel_metrics.timer(SESSION, 765432109, -987654321, "ai_processing", model="m") as stage,
    ):
        stage.metadata["user_id"] = 765432109
        raise RuntimeError("the text of user 765432109")
    (span,) = seen.get_finished_spans()
    assert span.name == "ai_processing"
    assert span.attributes["session.id"] == SESSION
    assert span.attributes["hitl.metadata.model"] == "m"
    assert span.attributes["error.type"] == "RuntimeError"
    assert span.status.status_code is trace.StatusCode.ERROR
    assert "765432109" not in span.to_json()
    assert "987654321" not in str(dict(span.attributes))


def test_sampler_that_drops_is_counted(store: Path) -> None:
    """Where the user's sampler drops everything, stages are counted as not recorded; sessions and corrections are kept."""
    trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    service = record_a_session()
    assert service.losses.snapshot() == {"not_recording": 1}
    assert rows(service, "processing_metrics") == []
    assert len(rows(service, "correction_metrics")) == 2
    assert only_row(service, "sessions")["outcome"] == "delivered"


def test_session_is_sampled_whole_or_not_at_all(store: Path) -> None:
    """With a ratio sampler each session is kept with all its stages and its root, or counted stage by stage."""
    sampler = ParentBased(TraceIdRatioBased(0.5))
    trace.set_tracer_provider(TracerProvider(sampler=sampler, shutdown_on_exit=False))
    for number in range(40):
        session_id = f"{number:016x}{number * 0x0666666666666666:016x}"
        for stage in ("query_received", "ai_processing", "user_delivery"):
            with otel_metrics.timer(session_id, 1, 2, stage):
                pass
    service = otel_metrics.get_metrics_service()
    per_session: dict[str, int] = {}
    for row in rows(service, "processing_metrics"):
        per_session[row["session_id"]] = per_session.get(row["session_id"], 0) + 1
    assert 0 < len(per_session) < 40
    assert set(per_session.values()) == {3}
    assert service.losses.snapshot() == {"not_recording": 3 * (40 - len(per_session))}


def test_second_service_takes_over_the_processor(provider: TracerProvider, tmp_path: Path) -> None:
    """In a provider that is not ours `configure()` turns the one processor to the new store; the old one gets nothing more."""
    first = otel_metrics.configure(database=tmp_path / "a.db", log_file=tmp_path / "a.jsonl")
    with otel_metrics.timer(SESSION, 1, 2, "ai_processing"):
        pass
    second = otel_metrics.configure(database=tmp_path / "b.db", log_file=tmp_path / "b.jsonl")
    with otel_metrics.timer(SESSION, 1, 2, "admin_review"):
        pass
    assert [row["stage"] for row in rows(first.settings.database, "processing_metrics")] == ["ai_processing"]
    assert [row["stage"] for row in rows(second, "processing_metrics")] == ["admin_review"]
