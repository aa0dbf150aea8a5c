"""A real Prometheus on loopback that fetches a gateway's two pages every second, with the rules of collector-config/."""

import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from support.gateway import CONFIG, Gateway, wait_for

_TIMEOUT_S = 30


class Prometheus:
    """collector-config/prometheus.yaml with the gateway's addresses; use it in `with`."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        self._program = shutil.which("prometheus") or pytest.skip("prometheus is not on PATH")
        self._folder = folder
        document = yaml.safe_load((CONFIG / "prometheus.yaml").read_text(encoding="utf-8"))
        document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        document["rule_files"] = [str(CONFIG / name) for name in document["rule_files"]]
        for job, target in zip(document["scrape_configs"], gateway.targets(), strict=True):
            job["static_configs"] = [{"targets": [target]}]
        (folder / "prometheus.yaml").write_text(json.dumps(document), encoding="utf-8")

    def __enter__(self) -> Self:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{free.getsockname()[1]}"
        command = [
            self._program, f"--config.file={self._folder}/prometheus.yaml", f"--storage.tsdb.path={self._folder}/data",
            f"--web.listen-address={self._address}", "--enable-feature=exemplar-storage",
        ]  # fmt: skip
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for("Prometheus", self._is_ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(_TIMEOUT_S)

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """What an expression is now: a list of series with labels and value."""
        return list(self._get("query", query=expression)["result"])

    def exemplars(self, selector: str) -> list[dict[str, Any]]:
        """The exemplars of the last hour."""
        found = self._get("query_exemplars", query=selector, start="0", end="9999999999")
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def _get(self, what: str, **parameters: str) -> Any:
        with urlopen(f"http://{self._address}/api/v1/{what}?{urlencode(parameters)}", timeout=_TIMEOUT_S) as answer:
            document = json.loads(answer.read())
        assert document["status"] == "success", document
        return document["data"]

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self._folder / "prometheus.log").read_text(encoding="utf-8")
        try:
            with urlopen(f"http://{self._address}/-/ready", timeout=_TIMEOUT_S) as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError):
            return False
