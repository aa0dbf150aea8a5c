"""The real collector with the files of collector-config/, on free ports of loopback; and what it needs to be found."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "collector-config"
_TIMEOUT_S = 30
_PORTS = ("GRPC", "HTTP", "METRICS", "TELEMETRY", "HEALTH")


def find_collector() -> Path:
    """The slim collector, from PATH or from the cache that collector-config/build.sh fills; without it a test is skipped."""
    found = shutil.which("otelcol-otel-metrics")
    built = Path(found) if found else ROOT / ".cache" / "collector" / "otelcol-otel-metrics"
    if not built.exists():
        pytest.skip("otelcol-otel-metrics is neither on PATH nor in .cache/collector: sh collector-config/build.sh")
    return built


def wait_for(what: str, ready: Callable[[], bool], timeout_s: float = _TIMEOUT_S) -> None:
    """Returns as soon as it is so."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain for {what}"
        time.sleep(0.05)


class Gateway:
    """gateway.yaml with layers over it, as a process; use it in `with`. `variables` are what the files read."""

    def __init__(self, folder: Path, layers: Sequence[Path] = (), **variables: str) -> None:
        self._folder = folder
        self._layers = layers
        self._variables = variables
        self._ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))

    def __enter__(self) -> Self:
        files = [argument for path in (CONFIG / "gateway.yaml", *self._layers) for argument in ("--config", str(path))]
        environment = {
            "PATH": os.environ["PATH"],
            "COLLECTOR_QUEUE_DIR": str(self._folder / "queue"),
            **{f"COLLECTOR_{name}_PORT": str(port) for name, port in self._ports.items()},
            **self._variables,
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log = self._folder / "collector.log"
        with self._log.open("wb") as log:
            command = [str(find_collector()), *files]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_for("the collector's health", self._is_healthy)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the collector; what it has not sent stays in its queue."""
        self._process.terminate()
        self._process.wait(_TIMEOUT_S)

    def kill(self) -> None:
        """Ends the collector as a crash does."""
        self._process.kill()
        self._process.wait(_TIMEOUT_S)

    @property
    def endpoint(self) -> str:
        """Where OTLP/HTTP is taken."""
        return self._address("HTTP")

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(encoding="utf-8")

    def send(self, path: str, body: bytes) -> None:
        """One OTLP request: `/v1/traces` or `/v1/metrics`, as protobuf."""
        headers = {"Content-Type": "application/x-protobuf"}
        with urlopen(Request(self.endpoint + path, body, headers), timeout=_TIMEOUT_S) as answer:
            assert answer.status == 200

    def page(self) -> str:
        """The bots' metrics and the span metrics, as Prometheus would read them, exemplars included."""
        return _get(self._address("METRICS") + "/metrics", Accept="application/openmetrics-text")

    def telemetry(self) -> str:
        """The collector's metrics about itself."""
        return _get(self._address("TELEMETRY") + "/metrics")

    def accepted_spans(self) -> int:
        """How many spans it has taken in so far."""
        name = "otelcol_receiver_accepted_spans{"
        lines = [line for line in self.telemetry().splitlines() if line.startswith(name)]
        return round(sum(float(line.rpartition(" ")[2]) for line in lines))

    def targets(self) -> tuple[str, str]:
        """Host and port of both pages, for a Prometheus."""
        return f"127.0.0.1:{self._ports['METRICS']}", f"127.0.0.1:{self._ports['TELEMETRY']}"

    def _is_healthy(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(self.log)
        try:
            _get(self._address("HEALTH"))
        except (URLError, ConnectionError):
            return False
        return True

    def _address(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"


def metric_names(page: str) -> set[str]:
    """The names of all series of a page."""
    return set(re.findall(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)[{ ]", page, re.MULTILINE))


def _get(address: str, **headers: str) -> str:
    with urlopen(Request(address, headers=headers), timeout=_TIMEOUT_S) as answer:
        return answer.read().decode()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
