"""`ENABLE_METRICS=false`: nothing is recorded, nothing breaks."""

import asyncio
from pathlib import Path

import pytest
from opentelemetry import trace

import otel_metrics
from otel_metrics import CorrectionType, ProcessingStage


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a store would lie, with metrics switched off."""
    monkeypatch.setenv("ENABLE_METRICS", "false")
    monkeypatch.setenv("METRICS_DATABASE", str(tmp_path / "store" / "metrics.db"))
    monkeypatch.setenv("METRICS_LOG_FILE", str(tmp_path / "store" / "metrics.jsonl"))
    return tmp_path


def test_every_call_has_its_return_type_and_leaves_no_file(folder: Path) -> None:
    """Every recording call works with the same types, makes no file and builds no provider."""
    session_id = otel_metrics.create_session(1, 2, platform="telegram")
    assert len(session_id) == 32
    int(session_id, 16)
    with otel_metrics.timer(session_id, 1, 2, ProcessingStage.AI_PROCESSING, model="m") as stage:
        stage.metadata["tokens"] = 3
        stage.fail("no")
    assert stage.metadata == {"model": "m", "tokens": 3}
    otel_metrics.record_stage(session_id, 1, 2, "moderation_queue", start_time="no time at all")
    otel_metrics.record_correction(session_id, 7, "m", CorrectionType.REJECTION, "a", "b", -5, admin_satisfaction=9)
    otel_metrics.record_system_metric("cpu", 1)
    otel_metrics.get_logger().critical("e", "m")
    otel_metrics.end_session(session_id, "no outcome")
    service = otel_metrics.get_metrics_service()
    service.flush()
    otel_metrics.shutdown()
    assert list(folder.iterdir()) == []
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


@pytest.mark.usefixtures("folder")
def test_exceptions_pass_here_too() -> None:
    """What is raised inside a stage propagates, in `with` and in `async with`."""

    async def work() -> None:
        async with otel_metrics.timer("s", 1, 2, "ai_processing"):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(work())
    with pytest.raises(ZeroDivisionError), otel_metrics.timer("s", 1, 2, "ai_processing"):
        raise ZeroDivisionError


@pytest.mark.usefixtures("folder")
def test_questions_have_the_empty_shape() -> None:
    """The dashboard has its usual keys with nothing in them, and no alert fires."""
    document = otel_metrics.get_dashboard_data()
    assert document["overview"]["total_requests"] == 0
    assert {"overview", "processing_by_stage", "corrections", "alerts"} <= set(document)
    assert otel_metrics.get_alerts() == []


def test_switching_off_by_argument_and_on_again(tmp_path: Path) -> None:
    """`configure(enabled=False)` stops recording, a later `configure(enabled=True)` resumes it."""
    files = {"database": tmp_path / "m.db", "log_file": tmp_path / "m.jsonl"}
    otel_metrics.configure(enabled=True, **files).create_session(1, 2)
    size = (tmp_path / "m.jsonl").stat().st_size
    otel_metrics.configure(enabled=False, **files)
    otel_metrics.create_session(1, 2)
    assert (tmp_path / "m.jsonl").stat().st_size == size
    otel_metrics.configure(enabled=True, **files)
    otel_metrics.create_session(1, 2)
    assert (tmp_path / "m.jsonl").stat().st_size > size


def test_an_older_store_is_not_asked(tmp_path: Path) -> None:
    """With recording switched off questions have the empty shape, also where a store of before lies."""
    place = {"database": tmp_path / "m.db", "log_file": tmp_path / "m.jsonl"}
    service = otel_metrics.configure(**place)
    with service.timer(service.create_session(1, 2), 1, 2, "ai_processing"):
        pass
    assert service.get_dashboard_data()["overview"]["total_requests"] == 1
    assert otel_metrics.configure(**place, enabled=False).get_dashboard_data()["overview"]["total_requests"] == 0
