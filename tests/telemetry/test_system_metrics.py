"""Process and system metrics, read by OpenTelemetry's instrumentation into rows."""

import sys

import pytest
from support.processes import run
from support.stores import rows

import otel_metrics
from otel_metrics.errors import MissingExtra
from otel_metrics.testing import temporary_service


def test_nothing_of_it_is_loaded_unless_asked_for(tmp_path):
    """A bot that does not ask for system metrics does not load the instrumentation, and gets no rows."""
    code = """
        import sys, otel_metrics
        otel_metrics.create_session(1, 2)
        print(sorted({"opentelemetry.instrumentation.system_metrics", "otel_metrics.telemetry.system"} & set(sys.modules)))
    """
    assert run(code, tmp_path) == "[]\n"
    assert rows(tmp_path / "metrics.db", "system_metrics") == []


def test_metrics_of_process_and_machine_become_rows(tmp_path):
    """With METRICS_SYSTEM=true there is a row for each metric and set of attributes every interval, with the unit in its tags."""
    code = """
        import time, otel_metrics
        service = otel_metrics.get_metrics_service()
        while True:
            service.flush()
            if service.sql("SELECT count(*) AS n FROM system_metrics WHERE metric_type = 'process.memory.usage'")[0]["n"] >= 2:
                break
            time.sleep(0.02)
    """
    run(code, tmp_path, METRICS_SYSTEM="true", METRICS_SYSTEM_INTERVAL="0.1")
    found = rows(tmp_path / "metrics.db", "system_metrics")
    memory = [row for row in found if row["metric_type"] == "process.memory.usage"]
    assert len(memory) >= 2
    assert all(float(row["value"]) > 1_000_000 and row["tags"] == {"unit": "By"} for row in memory)
    used = [row for row in found if row["metric_type"] == "system.memory.utilization"]
    assert all(0 < float(row["value"]) < 1 and row["tags"] == {"state": "used", "unit": "1"} for row in used)
    per_reading = {(row["metric_type"], str(row["tags"])) for row in found}
    assert len(found) % len(per_reading) == 0
    assert {name.partition(".")[0] for name, _ in per_reading} == {"process", "system"}


def test_a_forked_child_reads_its_own_process(tmp_path):
    """A child has rows of its own, under its own name, and a thread of its own that makes them."""
    code = """
        import os, time, otel_metrics
        service = otel_metrics.get_metrics_service()
        if os.fork() == 0:
            service.sql("SELECT 1")
            while not [row for row in service.sql("SELECT 1 FROM system_metrics AS s JOIN processes AS p USING (process) WHERE p.pid = %d" % os.getpid())]:
                time.sleep(0.02)
            otel_metrics.shutdown()
            os._exit(0)
        print(os.wait()[1])
    """
    assert run(code, tmp_path, METRICS_SYSTEM="true", METRICS_SYSTEM_INTERVAL="0.1") == "0\n"


def test_a_users_own_instrumentation_stays_as_it_is(tmp_path):
    """Who has instrumented the process for a provider of their own keeps that, beside our rows."""
    code = """
        import otel_metrics
        from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        SystemMetricsInstrumentor(config={"process.thread.count": None}).instrument(meter_provider=MeterProvider([reader]))
        service = otel_metrics.configure(system_metrics=True)
        service._readings.read()
        (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
        print(metric.name, len(service.sql("SELECT 1 FROM system_metrics")) > 5)
        otel_metrics.shutdown()
        print(SystemMetricsInstrumentor().is_instrumented_by_opentelemetry)
    """
    assert run(code, tmp_path) == "process.thread.count True\nTrue\n"


def test_without_its_library_a_bot_goes_on_and_is_told_what_to_install(tmp_path, monkeypatch):
    """A missing extra costs one warning with the line for pip, and recording works; a strict service raises."""
    monkeypatch.delitem(sys.modules, "otel_metrics.telemetry.system", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.system_metrics", None)
    with pytest.warns(RuntimeWarning, match=r"pip install '\.\[system\]' in its copy"):
        service = otel_metrics.configure(
            database=tmp_path / "m.db", log_file=tmp_path / "m.jsonl", drain_interval_s=0, system_metrics=True
        )
    service.record_system_metric("a", 1)
    assert [row["metric_type"] for row in rows(service, "system_metrics")] == ["a"]
    otel_metrics.shutdown()
    with pytest.raises(MissingExtra), temporary_service(tmp_path / "strict", system_metrics=True):
        pass


def test_a_reading_that_fails_costs_a_warning_and_the_next_one_works(tmp_path, monkeypatch):
    """What the machine does not tell now is tried again at the next interval."""
    with temporary_service(tmp_path, strict=False, system_metrics=True, system_interval_s=3600) as service:
        record = service._readings._reader._record

        def broken(*_: object) -> None:
            raise OSError("no such file in /proc")

        service._readings._reader._record = broken
        with pytest.warns(RuntimeWarning, match="no such file in /proc"):
            service._readings.read()
        service._readings._reader._record = record
        service._readings.read()
        assert len(rows(service, "system_metrics")) > 5


def test_readings_end_with_their_service(tmp_path):
    """After `shutdown()` no thread reads any more."""
    import threading

    with temporary_service(tmp_path, system_metrics=True, system_interval_s=0.1):
        assert [one for one in threading.enumerate() if one.name == "otel_metrics system metrics"]
    assert not [one for one in threading.enumerate() if one.name == "otel_metrics system metrics"]
