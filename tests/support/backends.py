"""Real Jaeger, Prometheus and telemetrygen as processes on free ports of loopback, and what is read back from them."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from support.gateway import CONFIG, ROOT, free_ports, wait_for

Json = dict[str, Any]
_TIMEOUT_S = 30


def find_backend(name: str) -> Path:
    """A real server or sender, from the cache that tests/build_backends.sh fills; without it a test is skipped."""
    built = ROOT / ".cache" / "backends" / name
    if not built.exists():
        pytest.skip(f"{name} is not in .cache/backends: sh tests/build_backends.sh")
    return built


class Server:
    """A process that is waited for until `address` answers; use it in `with`."""

    def __init__(self, command: Sequence[str | Path], address: str, log: Path) -> None:
        self._command, self._address, self._log = command, address, log

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            wait_for(self._address, self._answers)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(_TIMEOUT_S)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._log.read_text(encoding="utf-8")
        try:
            urlopen(self._address, timeout=_TIMEOUT_S).close()
        except (URLError, ConnectionError):
            return False
        return True


class Jaeger(Server):
    """Jaeger with the shipped jaeger.yaml; only its ports and its folder are others."""

    def __init__(self, folder: Path) -> None:
        otlp, self._http, grpc = free_ports(3)
        self.endpoint = f"127.0.0.1:{otlp}"
        badger = "extensions.jaeger_storage.backends.traces.badger.directories"
        changes = {
            "receivers.otlp.protocols.grpc.endpoint": self.endpoint,
            "extensions.jaeger_query.http.endpoint": f"127.0.0.1:{self._http}",
            "extensions.jaeger_query.grpc.endpoint": f"127.0.0.1:{grpc}",
            f"{badger}.keys": folder / "jaeger" / "keys",
            f"{badger}.values": folder / "jaeger" / "values",
            "service.telemetry.metrics.level": "none",  # else every Jaeger listens on the same port
        }
        sets = [f"--set={name}={value}" for name, value in changes.items()]
        super().__init__(
            [find_backend("jaeger"), "--config", CONFIG / "jaeger.yaml", *sets],
            self._url("services"),
            folder / "jaeger.log",
        )

    def trace(self, trace_id: str) -> Json | None:
        """One trace as the page of Jaeger gets it, if it is there."""
        try:
            found: list[Json] = self._get(f"traces/{trace_id}")
        except HTTPError as error:
            if error.code == 404:
                return None
            raise
        return found[0]

    def traces(self, service: str, **query: str) -> list[Json]:
        """The traces with spans of a service."""
        found: list[Json] = self._get("traces", service=service, limit=1000, lookback="1h", **query)
        return found

    def _get(self, path: str, **query: object) -> Any:
        with urlopen(self._url(path, **query), timeout=_TIMEOUT_S) as answer:
            return json.load(answer)["data"]

    def _url(self, path: str, **query: object) -> str:
        return f"http://127.0.0.1:{self._http}/api/{path}?{urlencode(query)}"


class Prometheus(Server):
    """Prometheus with the shipped prometheus.yaml, which asks these targets and asks them every second."""

    def __init__(self, folder: Path, bots: str, collector: str) -> None:
        found = shutil.which("prometheus")
        if found is None:
            pytest.skip("prometheus is not on PATH: Debian's package prometheus has it")
        (self._port,) = free_ports(1)
        shipped = (CONFIG / "prometheus.yaml").read_text(encoding="utf-8")
        changed = shipped.replace("collector:8889", bots).replace("collector:8888", collector).replace(": 15s", ": 1s")
        config = folder / "prometheus.yaml"
        config.write_text(changed, encoding="utf-8")
        for rules in CONFIG.glob("prometheus*rules*.yaml"):
            shutil.copy(rules, folder)
        command = [
            found, "--config.file", config, "--storage.tsdb.path", folder / "prometheus",
            "--web.listen-address", f"127.0.0.1:{self._port}", "--enable-feature=exemplar-storage",
        ]  # fmt: skip
        super().__init__(command, f"http://127.0.0.1:{self._port}/-/ready", folder / "prometheus.log")

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """The values of an expression now, by their labels."""
        answer = self._get("query", query=expression)
        return {frozenset(one["metric"].items()): float(one["value"][1]) for one in answer["result"]}

    def exemplars(self, expression: str, since: float, until: float) -> list[Json]:
        """The exemplars of all series of an expression."""
        found = self._get("query_exemplars", query=expression, start=since, end=until)
        return [one for series in found for one in series["exemplars"]]

    def _get(self, path: str, **query: object) -> Any:
        with urlopen(f"http://127.0.0.1:{self._port}/api/v1/{path}?{urlencode(query)}", timeout=_TIMEOUT_S) as answer:
            return json.load(answer)["data"]
