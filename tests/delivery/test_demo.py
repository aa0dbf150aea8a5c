"""The demo: the same figures for the same seed, through the real recording path, on nobody's store and into nobody's collector."""

import json
import socket

import pytest
from support.cli import real
from support.stores import rows

from otel_metrics import CorrectionType, MetricsService
from otel_metrics.delivery.demo.plan import SPAN_S, plan
from otel_metrics.settings import load


def figures(cli, database) -> dict:
    return json.loads(cli("dashboard", "--database", database, "--format", "json").output)


def timeless(cli, database) -> dict:
    """What does not tell of ids, hours and days."""
    document = figures(cli, database)
    return {name: document[name] for name in ("overview", "processing_by_stage")} | {
        "corrections": {name: document["corrections"][name] for name in ("by_type", "by_admin", "rate", "edit_size")},
        "cost": {name: document["cost"][name] for name in ("calls", "input_tokens", "output_tokens")},
        "users": document["users"]["users"],
    }


def test_the_demo_shows_the_dashboard_and_what_next(cli, tmp_path):
    """In an empty folder one command makes a store, shows it, and names four commands that work as they stand."""
    result = cli("demo", "--sessions", 40)
    assert result.status == 0, result.notes
    assert "Sessions" in result.output
    commands = [line.strip() for line in result.lines[result.lines.index("What next") + 1 :]]
    assert len(commands) == 4
    import shlex

    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "otel-metrics"
        assert cli(*arguments).status == 0, command
    assert (tmp_path / "metrics.db").exists()


def test_what_next_names_the_program_as_it_was_called(cli, monkeypatch, tmp_path):
    """By a path that is not on the PATH the commands begin with that path, quoted; else with the name."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    tool = folder / "otel-metrics"
    tool.write_text("#!/bin/sh\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(tool), "demo"])
    monkeypatch.setenv("PATH", "/usr/bin")
    assert f"'{tool}' queue" in cli("demo", "--sessions", 1).output
    monkeypatch.setenv("PATH", str(folder))
    assert "  otel-metrics queue" in cli("demo", "--sessions", 1).output


def test_a_seed_always_gives_the_same_figures(cli):
    """Two runs with one seed differ in nothing but ids and the time of day; another seed gives other figures."""
    cli("demo", "--sessions", 50, "--seed", 3, "--database", "a.db")
    cli("demo", "--sessions", 50, "--seed", 3, "--database", "b.db")
    cli("demo", "--sessions", 50, "--seed", 4, "--database", "c.db")
    assert timeless(cli, "a.db") == timeless(cli, "b.db")
    assert timeless(cli, "a.db") != timeless(cli, "c.db")


def test_a_second_run_replaces_the_first(cli):
    """Whoever runs the demo again sees the sessions that were asked for, not the sum of both runs."""
    cli("demo", "--sessions", 50)
    result = cli("demo", "--sessions", 20, "--format", "json")
    assert json.loads(result.output)["overview"]["total_requests"] == 20
    assert len(rows_of(cli, "system_metrics", "metrics.db")) < 100


def rows_of(cli, table, database) -> list[dict]:
    return json.loads(cli("sql", f"FROM {table}", "--database", database, "--format", "json").output)


def other_session(service: MetricsService) -> None:
    service.create_session(1, 2)


def other_measurement(service: MetricsService) -> None:
    service.record_system_metric("memory_mb", 12)


def other_log_line(service: MetricsService) -> None:
    service.get_logger().info("started", "A real bot")


def other_correction(service: MetricsService) -> None:
    service.record_correction("order-1", 9, 1, "text_correction", "a", "b", 10)


@pytest.mark.parametrize("record", [other_session, other_measurement, other_log_line, other_correction])
@pytest.mark.parametrize("drained", [True, False], ids=["in tables", "in the log"])
def test_a_real_store_is_refused(cli, tmp_path, record, drained):
    """One record that is not the demo's, in the tables or still in the log, and the demo leaves the store as it is."""
    service = MetricsService(
        load({"database": tmp_path / "m.db", "log_file": tmp_path / "m.jsonl", "drain_interval_s": 0}, {})
    )
    record(service)
    if drained:
        service.shutdown()
    result = cli("demo", "--database", "m.db")
    service.shutdown()
    assert result.status == 2
    assert "not the demo's" in result.notes and result.notes.count("\n") == 1
    assert len(rows(tmp_path / "m.db", "sessions")) <= 1


def test_the_demo_holds_everything(cli, demo):
    """All stages, all kinds of corrections, failures, open sessions, system metrics and logs are there to be looked at."""
    cli("demo", "--database", "full.db")
    document = figures(cli, "full.db")
    assert len(document["processing_by_stage"]) == 8
    assert set(document["corrections"]["by_type"]) == set(CorrectionType)
    assert len(document["corrections"]["by_admin"]) == 3
    outcomes = {row["outcome"] for row in rows_of(cli, "sessions", "full.db")}
    assert outcomes == {"delivered", "rejected", "failed", "abandoned", None}
    queue = json.loads(cli("queue", "--database", "full.db", "--format", "json").output)
    assert queue["waiting"] and queue["running"]
    assert {"memory_mb", "cpu_percent"} == {row["metric_type"] for row in rows_of(cli, "system_metrics", "full.db")}
    assert {"info", "warning"} <= {row["level"] for row in rows_of(cli, "logs", "full.db")}
    assert all(row["metadata"] for row in rows_of(cli, "sessions", "full.db"))


def test_every_session_lies_in_the_last_day():
    """Nothing is planned before the window of the dashboard or after now, however long it takes."""
    for seed in range(20):
        for visit in plan(100, seed):
            assert -24 * 3600 < visit.asked_s < 0
            if visit.ending not in {"waiting", "in_review"}:
                assert visit.asked_s + visit.length_s <= 0
    assert SPAN_S < 24 * 3600


@pytest.mark.parametrize("sessions", [1, 2, 5])
def test_a_small_demo_is_a_demo(cli, sessions):
    """Even one session makes a store that every command can show."""
    assert cli("demo", "--sessions", sessions).status == 0
    for command in ("dashboard", "sessions", "queue", "alerts"):
        assert cli(command).status == 0
    assert json.loads(cli("queue", "--format", "json").output)["waiting"]


def test_nothing_is_sent_unless_asked(tmp_path):
    """Where the environment names a collector, the demo's made-up spans do not go there."""
    with socket.create_server(("127.0.0.1", 0)) as collector:
        collector.settimeout(0.1)
        endpoint = f"http://127.0.0.1:{collector.getsockname()[1]}"
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        result = real("demo", "--sessions", 20, folder=tmp_path, **variables)
        assert result.returncode == 0, result.stderr
        with pytest.raises(TimeoutError):
            collector.accept()


def test_sending_can_be_asked_for(tmp_path):
    """With --send the spans go where OpenTelemetry's variables say."""
    with socket.create_server(("127.0.0.1", 0)) as collector:
        collector.settimeout(30)
        endpoint = f"http://127.0.0.1:{collector.getsockname()[1]}"
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2",
        }  # fmt: skip
        import threading

        asked = []

        def take_one() -> None:
            connection, _ = collector.accept()
            with connection:
                asked.append(connection.recv(200))

        thread = threading.Thread(target=take_one)
        thread.start()
        real("demo", "--sessions", 5, "--send", folder=tmp_path, **variables)
        thread.join(30)
    assert asked and asked[0].startswith(b"POST /v1/")


def test_the_environment_does_not_spoil_it(tmp_path):
    """The demo records even where recording, the SDK or sampling is switched off, and says what it always says."""
    result = real(
        "demo", "--sessions", 20, "--format", "json", folder=tmp_path, ENABLE_METRICS="false", OTEL_SDK_DISABLED="true",
        OTEL_TRACES_SAMPLER="always_off",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["overview"]["total_requests"] == 20
