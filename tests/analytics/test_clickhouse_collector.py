"""The collector's own exporter of spans against our tables: what it writes is what the other tests compare."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clickhouse import insert
from support.gateway import CONFIG, Gateway, find_collector
from support.recorded import NOW_NS, record

pytest.importorskip("chdb", reason="ClickHouse in the process (chdb) is not installed: pip install '.[dev]'")
from support.clickhouse_server import ClickHouseServer

from otel_metrics.analytics.answers import Answers
from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine
from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.testing import SteppedClock

# Fast enough for a test; the shipped layer waits for 5 s or 5,000 spans.
QUICK = "exporters: {clickhouse: {sending_queue: {batch: {flush_timeout: 100ms}}}}\n"
LAYERS = [CONFIG / "clickhouse.yaml", *sorted((CONFIG / "switches").iterdir())]


@pytest.fixture
def gateway(tmp_path: Path, server: ClickHouseServer) -> Iterator[Gateway]:
    """The gateway with the layer for ClickHouse, and no other backend."""
    components = subprocess.run([find_collector(), "components"], capture_output=True, text=True, check=True).stdout
    if "clickhouseexporter" not in components:
        pytest.skip("this otelcol-otel-metrics was built without the clickhouse exporter: sh collector-config/build.sh")
    quick = tmp_path / "quick.yaml"
    quick.write_text(QUICK, encoding="utf-8")
    endpoint = f"http://127.0.0.1:{server.port}?compress=none"
    with Gateway(tmp_path / "gateway", [*LAYERS, quick], CLICKHOUSE_ENDPOINT=endpoint) as running:
        yield running


@pytest.fixture
def server() -> Iterator[ClickHouseServer]:
    """A ClickHouse behind HTTP, with our tables in two databases: for the collector, and for rows put in directly."""
    with ClickHouseServer() as made:
        made.query("CREATE DATABASE direct")
        for url in (made.url, made.url.replace("/default", "/direct")):
            engine = ClickHouseEngine(url)
            engine.prepare(36_500)
            engine.close()
        yield made


def test_rows_arrive_through_the_real_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ClickHouseServer, gateway: Gateway
) -> None:
    """Spans that the package sends come through the gateway into our tables, and the dashboard of both engines is one."""
    settings, requests = record(tmp_path, monkeypatch, sessions=40)
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        monkeypatch.delenv(name)
    spans = sum(
        len(scope.spans) for one in requests for resource in one.resource_spans for scope in resource.scope_spans
    )
    for request in requests:
        gateway.send("/v1/traces", request.SerializeToString())
    assert server.wait_for("SELECT count() FROM default.otel_traces", str(spans), 30)
    insert(server, requests, "direct.otel_traces")
    for table, order in (("otel_traces", "SpanId"), ("hitl_corrections", "correction_id")):
        rows = [
            server.query(f"SELECT * FROM {name}.{table} ORDER BY {order} FORMAT JSONEachRow")
            for name in ("default", "direct")
        ]
        assert rows[0] == rows[1]
        assert rows[0]
    local, asked = (_figures(Settings(settings.database, settings.log_file, backend=one)) for one in (None, server.url))
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
