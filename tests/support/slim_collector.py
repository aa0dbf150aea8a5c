"""The real collector of collector-config on loopback, writing what it gets into a file; and OTLP JSON as it writes it, made here."""

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

_ROOT = Path(__file__).parents[2]
_CONFIGURATION = """
receivers:
  otlp:
    protocols:
      http: {{endpoint: "127.0.0.1:{port}"}}
exporters:
  file: {{path: {file}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
"""


@contextmanager
def collector_into(file: Path) -> Iterator[str]:
    """Its endpoint; the test is skipped where the collector is not built, or was built without the file exporter."""
    built = _ROOT / ".cache" / "collector" / "otelcol-otel-metrics"
    binary = shutil.which("otelcol-otel-metrics") or (str(built) if built.exists() else None)
    if binary is None:
        pytest.skip("otelcol-otel-metrics is neither on PATH nor in .cache/collector: sh collector-config/build.sh")
    parts = subprocess.run([binary, "components"], capture_output=True, text=True, check=True).stdout
    if "exporter/fileexporter" not in parts:
        pytest.skip("the collector was built without the file exporter: sh collector-config/build.sh")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = file.with_suffix(".yaml")
    configuration.write_text(_CONFIGURATION.format(port=port, file=file))
    process = subprocess.Popen([binary, "--config", str(configuration)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def otlp_line(request: Any) -> bytes:
    """A request as one line of OTLP JSON: ids in hex, integers of 64 bits as texts."""
    document = MessageToDict(request, use_integers_for_enums=True)
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for part in (span, *span.get("links", ())):
                    for name in ("traceId", "spanId", "parentSpanId"):
                        if name in part:
                            part[name] = base64.b64decode(part[name]).hex()
    return json.dumps({"resourceSpans": document["resourceSpans"]}).encode() + b"\n"


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise AssertionError("the collector does not listen")
