"""OpenTelemetry's own configuration by the environment, as `opentelemetry-instrument` does it, with our exporter and sampler settings."""

import shutil
import sys
from pathlib import Path

import pytest
from support.processes import environment, run
from support.stores import lines, rows

CONFIGURED = """
    from opentelemetry.sdk._configuration import _OTelSDKConfigurator
    _OTelSDKConfigurator().configure()
"""
BOT = """
    import otel_metrics
    from opentelemetry import trace
    session_id = otel_metrics.create_session(5, 6)
    for stage in ("query_received", "ai_processing"):
        with otel_metrics.timer(session_id, 5, 6, stage), trace.get_tracer("httpx").start_as_current_span("GET"):
            pass
    otel_metrics.end_session(session_id)
    print(type(trace.get_tracer_provider()._active_span_processor).__name__)
    trace.get_tracer_provider().shutdown()
"""


def assert_each_once(folder: Path) -> None:
    """Both stages, both calls and the root, each in one row and one line."""
    database = folder / "metrics.db"
    assert sorted(row["stage"] for row in rows(database, "processing_metrics")) == ["ai_processing", "query_received"]
    assert sorted(row["name"] for row in rows(database, "spans")) == ["GET", "GET", "session"]
    kinds = [line["kind"] for line in lines(folder / "metrics.jsonl")]
    assert {kind: kinds.count(kind) for kind in ("stage", "span", "end")} == {"stage": 2, "span": 2, "end": 1}


@pytest.mark.parametrize("exporters", ["otel_metrics", "otel_metrics,console", "none"])
def test_exporter_named_in_the_environment_writes_each_span_once(tmp_path: Path, exporters: str) -> None:
    """With `OTEL_TRACES_EXPORTER=otel_metrics` under the SDK's configuration every span is in the store once, as without."""
    variables = {
        "OTEL_TRACES_EXPORTER": exporters, "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
    }  # fmt: skip
    assert "SynchronousMultiSpanProcessor" in run(CONFIGURED + BOT, tmp_path, **variables)
    assert_each_once(tmp_path)


@pytest.mark.skipif(
    not shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent)),
    reason="no opentelemetry-distro",
)
def test_zero_code_start_writes_each_span_once(tmp_path: Path) -> None:
    """The same under `opentelemetry-instrument python`."""
    import subprocess
    import textwrap

    command = [
        str(Path(sys.executable).with_name("opentelemetry-instrument")),
        sys.executable,
        "-c",
        textwrap.dedent(BOT),
    ]
    variables = {
        "OTEL_TRACES_EXPORTER": "otel_metrics", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
    }  # fmt: skip
    subprocess.run(command, env=environment(tmp_path, **variables), check=True, capture_output=True, timeout=60)
    assert_each_once(tmp_path)


def test_spans_without_a_service_are_in_the_log(tmp_path: Path) -> None:
    """A program that never calls us, with our exporter in the environment, keeps its spans that name a session."""
    code = """
        from opentelemetry import trace
        with trace.get_tracer("app").start_as_current_span("work", attributes={"session.id": "order 17"}):
            pass
        trace.get_tracer_provider().shutdown()
    """
    variables = {
        "OTEL_TRACES_EXPORTER": "otel_metrics", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
    }  # fmt: skip
    run(_joined(CONFIGURED, code), tmp_path, **variables)
    (line,) = lines(tmp_path / "metrics.jsonl", "span")
    assert (line["name"], line["session_id"]) == ("work", "order 17")


@pytest.mark.parametrize("sampler", ["always_off", "traceidratio", "parentbased_always_off"])
def test_sampler_of_the_environment_never_takes_from_the_local_store(tmp_path: Path, sampler: str) -> None:
    """In our own provider `OTEL_TRACES_SAMPLER` decides what is sent; what is kept locally is everything."""
    code = """
        import otel_metrics
        for number in range(20):
            session_id = otel_metrics.create_session(1, 2)
            with otel_metrics.timer(session_id, 1, 2, "ai_processing"):
                pass
            otel_metrics.end_session(session_id)
        print(otel_metrics.get_metrics_service().losses.snapshot())
    """
    assert run(code, tmp_path, OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0.5") == "{}\n"
    stages = rows(tmp_path / "metrics.db", "processing_metrics")
    roots = rows(tmp_path / "metrics.db", "spans")
    assert (len(stages), len(roots)) == (20, 20)
    flags = {row["session_id"]: row["flags"] for row in stages}
    assert flags == {row["session_id"]: row["flags"] for row in roots}
    assert (1 in flags.values()) is (sampler == "traceidratio")


def test_disabled_sdk_records_no_stage_and_harms_nothing(tmp_path: Path) -> None:
    """With `OTEL_SDK_DISABLED=true` stages are counted as not recorded; sessions and corrections are kept."""
    code = """
        import logging, otel_metrics
        logging.disable()
        session_id = otel_metrics.create_session(1, 2)
        with otel_metrics.timer(session_id, 1, 2, "ai_processing"):
            otel_metrics.record_correction(session_id, 7, "m", "rejection", "a", "b", 1)
        otel_metrics.end_session(session_id, "rejected")
        print(otel_metrics.get_metrics_service().losses.snapshot())
    """
    told = run(code, tmp_path, OTEL_SDK_DISABLED="true")
    assert "'not_recording': 1" in told
    assert rows(tmp_path / "metrics.db", "processing_metrics") == []
    assert len(rows(tmp_path / "metrics.db", "correction_metrics")) == 1
    assert rows(tmp_path / "metrics.db", "sessions")[0]["outcome"] == "rejected"


def _joined(*codes: str) -> str:
    import textwrap

    return "\n".join(textwrap.dedent(code) for code in codes)
