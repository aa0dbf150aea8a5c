"""The process's own service: made at first use, replaced by `configure()`, ended by `shutdown()`."""

import textwrap
from pathlib import Path

import pytest
from support.processes import run
from support.stores import lines, rows

import otel_metrics
from otel_metrics import MetricsService
from otel_metrics.errors import SettingError

SESSION = "65a1b2c3000000ff0123456789abcdef"


def files(folder: Path, name: str) -> dict[str, Path]:
    return {"database": folder / f"{name}.db", "log_file": folder / f"{name}.jsonl"}


def test_first_use_takes_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `configure()` the first call makes the service that the environment describes."""
    monkeypatch.setenv("METRICS_DATABASE", str(tmp_path / "store" / "m.db"))
    monkeypatch.setenv("METRICS_LOG_FILE", str(tmp_path / "logs" / "m.jsonl"))
    session_id = otel_metrics.create_session(1, 2)
    service = otel_metrics.get_metrics_service()
    assert otel_metrics.get_metrics_service() is service
    assert [row["session_id"] for row in rows(service, "sessions")] == [session_id]
    assert (tmp_path / "logs" / "m.jsonl").exists()


def test_functions_record_as_the_methods_do(service: MetricsService) -> None:
    """Each function of the package records with the process's service."""
    session_id = otel_metrics.create_session(1, 2)
    with otel_metrics.timer(session_id, 1, 2, "ai_processing"):
        pass
    otel_metrics.record_stage(session_id, 1, 2, "moderation_queue", start_time=1767268800)
    otel_metrics.record_correction(session_id, 7, "m", "rejection", "a", "b", 1)
    otel_metrics.record_system_metric("cpu", 1)
    otel_metrics.get_logger().info("e", "m")
    otel_metrics.end_session(session_id)
    kinds = [line["kind"] for line in lines(service)]
    assert kinds == [
        "file", "process", "session", "begin", "stage", "stage", "correction", "span", "system", "log", "end",
    ]  # fmt: skip
    assert otel_metrics.get_dashboard_data(1)["overview"]["total_requests"] == 1
    assert otel_metrics.get_alerts(1) == []


def test_configure_with_the_same_values_keeps_the_service(tmp_path: Path) -> None:
    """A second `configure()` with the same values gives the service that is there."""
    first = otel_metrics.configure(**files(tmp_path, "a"))
    assert otel_metrics.configure(**files(tmp_path, "a")) is first


def test_configure_with_other_values_replaces_the_service(tmp_path: Path) -> None:
    """A second `configure()` ends the first service: its rows are in its tables, later ones go to the new store alone."""
    first = otel_metrics.configure(**files(tmp_path, "a"))
    with otel_metrics.timer(SESSION, 1, 2, "ai_processing"):
        pass
    second = otel_metrics.configure(**files(tmp_path, "b"))
    with otel_metrics.timer(SESSION, 1, 2, "admin_review"):
        pass
    first.record_system_metric("after its end", 1)
    assert [row["stage"] for row in rows(tmp_path / "a.db", "processing_metrics")] == ["ai_processing"]
    assert [row["stage"] for row in rows(second, "processing_metrics")] == ["admin_review"]
    assert rows(tmp_path / "a.db", "system_metrics") == []


def test_stage_that_runs_while_the_service_is_replaced_is_kept(tmp_path: Path) -> None:
    """A stage that began before `configure()` ends in the store in which it began."""
    otel_metrics.configure(**files(tmp_path, "a"))
    with otel_metrics.timer(SESSION, 1, 2, "ai_processing"):
        otel_metrics.configure(**files(tmp_path, "b"))
    again = otel_metrics.configure(**files(tmp_path, "a"))
    assert [row["stage"] for row in rows(again, "processing_metrics")] == ["ai_processing"]
    assert rows(again, "running") == []


def test_configure_that_fails_leaves_the_service(tmp_path: Path) -> None:
    """When the new values can not be used, the error says so and the service that was there goes on."""
    first = otel_metrics.configure(**files(tmp_path, "a"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"metrics\.db|file"):
        otel_metrics.configure(database=tmp_path / "file" / "metrics.db", log_file=tmp_path / "b.jsonl")
    assert otel_metrics.get_metrics_service() is first
    otel_metrics.create_session(1, 2)
    assert len(rows(first, "sessions")) == 1


def test_store_that_can_not_be_made_switches_recording_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At first use a store that can not be made costs one warning, and the bot runs without metrics."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("METRICS_DATABASE", str(tmp_path / "file" / "metrics.db"))
    with pytest.warns(RuntimeWarning, match="recording is off"):
        session_id = otel_metrics.create_session(1, 2)
    assert len(session_id) == 32
    otel_metrics.end_session(session_id)


def test_service_is_a_context_manager(tmp_path: Path) -> None:
    """`with MetricsService() as service` ends it at the end; a second `shutdown()` does nothing."""
    with otel_metrics.configure(**files(tmp_path, "a")) as service:
        service.create_session(1, 2)
    service.shutdown()
    assert len(rows(tmp_path / "a.db", "sessions")) == 1
    assert len(service.create_session(1, 2)) == 32


def test_rows_are_in_the_tables_when_a_process_has_ended(tmp_path: Path) -> None:
    """A process that ends normally leaves its rows in the tables without calling anything."""
    run("import otel_metrics; otel_metrics.create_session(1, 2)", tmp_path)
    assert len(rows(tmp_path / "metrics.db", "sessions")) == 1


def test_background_thread_fills_the_tables(tmp_path: Path) -> None:
    """In a running bot rows reach the tables by themselves, also where another process looks."""
    code = """
        import otel_metrics, pathlib, sqlite3, sys, time
        service = otel_metrics.get_metrics_service()
        service.create_session(1, 2)
        found = []
        while not found:
            if service.storage.exists():
                try:
                    found = sqlite3.connect(service.settings.database).execute("SELECT 1 FROM sessions").fetchall()
                except sqlite3.OperationalError:
                    pass
            time.sleep(0.01)
        print(len(found))
    """
    assert run(code, tmp_path, METRICS_DRAIN_INTERVAL="0.05") == "1\n"


def test_importing_the_package_loads_no_desk_library(tmp_path: Path) -> None:
    """`import otel_metrics` and recording load neither DuckDB nor what the command line and OTLP need."""
    code = """
        import sys, otel_metrics
        session_id = otel_metrics.create_session(1, 2)
        with otel_metrics.timer(session_id, 1, 2, "ai_processing"):
            pass
        otel_metrics.end_session(session_id)
        heavy = {"duckdb", "rich", "typer", "pytz", "grpc", "requests", "rapidfuzz", "google.protobuf"}
        print(sorted(heavy & set(sys.modules)))
    """
    assert run(code, tmp_path) == "[]\n"


def test_first_use_that_fails_is_tried_again(tmp_path: Path) -> None:
    """A bot whose store can not be made at first records as soon as it can, and the calls until then are counted."""
    code = """
        import pathlib, time, warnings
        warnings.simplefilter("ignore")
        import otel_metrics
        from otel_metrics import process
        process._RETRY_AFTER_S = 0.05
        blocked = pathlib.Path("blocked")
        blocked.write_text("a file where a folder is to be")
        for _ in range(3):
            otel_metrics.record_system_metric("m", 1)
        blocked.unlink()
        time.sleep(0.06)
        otel_metrics.record_system_metric("m", 2)
        service = otel_metrics.get_metrics_service()
        service.flush()
        print(service.sql("SELECT value FROM system_metrics"), service.storage.account().dropped)
    """
    told = run(
        f"import os; os.chdir({str(tmp_path)!r})\n" + textwrap.dedent(code), tmp_path,
        METRICS_DATABASE="blocked/metrics.db", METRICS_LOG_FILE="blocked/metrics.jsonl",
    )  # fmt: skip
    assert told == "[{'value': '2'}] {'not_started': 3}\n"
