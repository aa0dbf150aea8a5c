"""The collector's own exporter of spans against our tables: what it writes is what the other tests compare."""

import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.clickhouse import insert
from support.recorded import NOW_NS, record

pytest.importorskip(
    "chdb", reason="ClickHouse in the process (chdb) is not installed: pip install 'otel_metrics[clickhouse-tests]'"
)
from support.clickhouse_server import ClickHouseServer

from otel_metrics.analytics.answers import Answers
from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine
from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.testing import SteppedClock

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "collector-config" / "clickhouse.yaml"


def found_collector() -> str:
    """A collector that has the exporter; the test is skipped where there is none."""
    built = ROOT / ".cache" / "collector" / "otelcol-otel-metrics"
    found = shutil.which("otelcol-otel-metrics") or (str(built) if built.exists() else None)
    if found is None:
        pytest.skip("otelcol-otel-metrics is neither on PATH nor in .cache/collector: sh collector-config/build.sh")
    if (
        "clickhouseexporter"
        not in subprocess.run([found, "components"], capture_output=True, text=True, check=True).stdout
    ):
        pytest.skip("this otelcol-otel-metrics was built without the clickhouse exporter: sh collector-config/build.sh")
    return found


@contextmanager
def running(collector: str, server: ClickHouseServer) -> Iterator[str]:
    """The collector with the configuration of the project, as soon as it is ready; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {
        **os.environ, "COLLECTOR_HTTP_PORT": str(port), "CLICKHOUSE_FLUSH": "100ms",
        "CLICKHOUSE_ENDPOINT": f"http://127.0.0.1:{server.port}/default?compress=none",
    }  # fmt: skip
    process = subprocess.Popen([collector, "--config", CONFIG], env=variables, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any("Everything is ready" in line for line in process.stderr)
        yield f"http://127.0.0.1:{port}/v1/traces"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_rows_arrive_through_the_real_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans that the package sends come through a collector into our tables, and the dashboard of both engines is one."""
    collector = found_collector()
    settings, requests = record(tmp_path, monkeypatch, sessions=40)
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        monkeypatch.delenv(name)
    spans = sum(
        len(scope.spans) for one in requests for resource in one.resource_spans for scope in resource.scope_spans
    )
    with ClickHouseServer() as server:
        server.query("CREATE DATABASE direct")
        for url in (server.url, server.url.replace("/default", "/direct")):
            engine = ClickHouseEngine(url)
            engine.prepare(36_500)
            engine.close()
        with running(collector, server) as address:
            for request in requests:
                head = {"Content-Type": "application/x-protobuf"}
                sent = urllib.request.Request(address, request.SerializeToString(), head)
                assert urllib.request.urlopen(sent, timeout=10).status == 200
            assert server.wait_for("SELECT count() FROM default.otel_traces", str(spans), 30)
        insert(server, requests, "direct.otel_traces")
        for table, order in (("otel_traces", "SpanId"), ("hitl_corrections", "correction_id")):
            rows = [
                server.query(f"SELECT * FROM {name}.{table} ORDER BY {order} FORMAT JSONEachRow")
                for name in ("default", "direct")
            ]
            assert rows[0] == rows[1]
            assert rows[0]
        local, asked = (
            _figures(Settings(settings.database, settings.log_file, backend=one)) for one in (None, server.url)
        )
    assert set(asked["corrections"]["by_admin"]) != set(local["corrections"]["by_admin"])  # ids are keyed hashes there
    for document in (local, asked):
        document["corrections"]["by_admin"] = sorted(
            one["total_corrections"] for one in document["corrections"]["by_admin"].values()
        )
    assert asked == local


def _figures(settings: Settings) -> dict[str, dict[str, dict[str, object]]]:
    """The four sections of the contract, rounded."""
    answers = Answers(
        MetricsStorage(StoreLayout(settings.database, settings.log_file), settings),
        settings,
        SteppedClock(NOW_NS / 1e9),
    )
    try:
        return _rounded(answers.figures(24))
    finally:
        answers.close()


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value
