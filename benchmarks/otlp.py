"""How fast 100,000 stored spans reach a collector, sent on from the journal and by `replay`, against the SDK's own exporter.

The collector is the slim one of collector-config where it has been built (it throws the spans away), else a process that
answers without looking. The SDK's exporter gets the same spans, made before, in batches of the same size; ours are read,
decoded and made into spans on the way. Each figure is the best of three.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from stores import settings_in, write_stages

from otel_metrics.model.identity import IdHasher
from otel_metrics.model.records import ProcessingMetric, decode_record
from otel_metrics.replay import Replay, Target, Wishes
from otel_metrics.settings import Settings
from otel_metrics.store.cursor import Cursor, save_cursor
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.outbox import Outbox
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.telemetry.forward import Forwarder
from otel_metrics.telemetry.otlp import span_exporter_to
from otel_metrics.telemetry.readable import Readable

SPANS = 100_000
BATCH = 512
ROUNDS = 3
RESOURCE = {"service.name": "bot", "service.version": "1.4.2", "deployment.environment.name": "production"}
_ROOT = Path(__file__).parent.parent
_COLLECTOR = """
receivers:
  otlp:
    protocols:
      http: {{endpoint: "127.0.0.1:{http}"}}
      grpc: {{endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: 64}}
exporters:
  file: {{path: /dev/null, format: proto}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
"""
_PLAIN = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *words): pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def main() -> None:
    """Prints spans a second of each way, and the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = settings_in(folder)
        write_stages(settings, SPANS, ago_hours=100, resource=RESOURCE)  # sessions that nobody ended, and yet over
        storage = MetricsStorage(StoreLayout(settings.database, settings.log_file), settings)
        storage.drain()
        hasher = IdHasher(b"benchmark")
        with _collector(folder) as (what, endpoints):
            print(f"collector: {what}")
            for protocol, endpoint in endpoints.items():
                _compare(protocol, endpoint, storage, settings, hasher)


def _compare(protocol: str, endpoint: str, storage: MetricsStorage, settings: Settings, hasher: IdHasher) -> None:
    sdk, ours, again = (min(times) for times in zip(*(
        (
            _sdk(protocol, endpoint, storage.layout, hasher),
            _forward(protocol, endpoint, storage.layout, hasher),
            _replay(protocol, endpoint, storage, settings),
        )
        for _ in range(ROUNDS)
    ), strict=True))  # fmt: skip
    print(
        f"{protocol}: SDK's exporter {SPANS / sdk:,.0f} spans/s; from the journal {SPANS / ours:,.0f} spans/s, "
        f"ratio {sdk / ours:.2f} (wanted 0.8); replay {SPANS / again:,.0f} spans/s, ratio {sdk / again:.2f} (wanted 0.5)"
    )


def _sdk(protocol: str, endpoint: str, layout: StoreLayout, hasher: IdHasher) -> float:
    readable, resource = Readable(hasher), Resource(RESOURCE)
    records = map(
        decode_record, (line for line in layout.log_file.read_bytes().splitlines() if b'"stage"' in line[:16])
    )
    spans: list[ReadableSpan] = [readable.span(one, resource) for one in records if isinstance(one, ProcessingMetric)]
    assert len(spans) == SPANS
    exporter: SpanExporter = (HttpSpanExporter if protocol == "http" else GrpcSpanExporter)(endpoint=endpoint)
    exporter.export(spans[:1])  # the connection
    before = time.perf_counter()
    for start in range(0, SPANS, BATCH):
        assert exporter.export(spans[start : start + BATCH]) is SpanExportResult.SUCCESS
    took_s = time.perf_counter() - before
    exporter.shutdown()
    return took_s


def _forward(protocol: str, endpoint: str, layout: StoreLayout, hasher: IdHasher) -> float:
    save_cursor(layout, Cursor())
    outbox = Outbox(layout)
    forwarder = Forwarder(outbox, lambda: span_exporter_to(endpoint, protocol), hasher)
    before = time.perf_counter()
    forwarder.run()
    took_s = time.perf_counter() - before
    with outbox.taking() as taking:
        assert taking is not None
        assert taking.cursor.sent == SPANS, taking.cursor
    forwarder.close(0)
    return took_s


def _replay(protocol: str, endpoint: str, storage: MetricsStorage, settings: Settings) -> float:
    report = Replay(storage, settings, Target(endpoint, protocol), Wishes(rate=0, restart=True)).run()
    assert report.sent == SPANS, report
    return report.seconds


@contextmanager
def _collector(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    built = _ROOT / ".cache" / "collector" / "otelcol-otel-metrics"
    binary = shutil.which("otelcol-otel-metrics") or (built if built.exists() else None)
    http, grpc = _free_port(), _free_port()
    endpoints = {"http": f"http://127.0.0.1:{http}/v1/traces"}
    if binary:
        (folder / "collector.yaml").write_text(_COLLECTOR.format(http=http, grpc=grpc))
        process = subprocess.Popen([str(binary), "--config", str(folder / "collector.yaml")])
        endpoints["grpc"] = f"http://127.0.0.1:{grpc}"
    else:
        process = subprocess.Popen([sys.executable, "-c", _PLAIN, str(http)])
    try:
        _wait_for(http)
        yield str(binary or "none built; a process that answers"), endpoints
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit("the collector does not listen")


if __name__ == "__main__":
    main()
