"""A session on its whole way: from a bot through the real gateway into a real Jaeger with collector-config/jaeger.yaml."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from support.fed import fed
from support.gateway import CONFIG, ROOT, Gateway, wait_for
from support.otlp import GrpcReceiver

FILE = CONFIG / "jaeger.yaml"


def find_jaeger() -> str:
    """Jaeger 2, from PATH or from .cache/jaeger; without it a test is skipped."""
    found = shutil.which("jaeger", path=None) or shutil.which("jaeger", path=str(ROOT / ".cache" / "jaeger"))
    if found is None:
        pytest.skip("jaeger is neither on PATH nor in .cache/jaeger")
    return found


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Where it takes OTLP and where it answers: jaeger.yaml, with ports and folders of its own."""
    otlp, query = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    badger = "extensions::jaeger_storage::backends::traces::badger::directories"
    changes = {
        "receivers::otlp::protocols::grpc::endpoint": otlp,
        "extensions::jaeger_query::http::endpoint": query,
        "extensions::jaeger_query::grpc::endpoint": f"127.0.0.1:{free_port()}",
        f"{badger}::keys": str(tmp_path / "keys"),
        f"{badger}::values": str(tmp_path / "values"),
        "service::telemetry::metrics::level": "none",
    }
    command = [find_jaeger(), f"--config={FILE}", *(f"--set={key}={value}" for key, value in changes.items())]
    log = tmp_path / "jaeger.log"
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        wait_for("Jaeger", lambda: is_up(process, query, log))
        yield otlp, query
    finally:
        process.terminate()
        process.wait(30)


def is_up(process: subprocess.Popen[bytes], query: str, log: Path) -> bool:
    assert process.poll() is None, log.read_text(encoding="utf-8")
    try:
        return bool(ask(query, "services"))
    except (URLError, ConnectionError):
        return False


def ask(query: str, what: str) -> Any:
    with urlopen(f"http://{query}/api/{what}", timeout=30) as answer:
        return json.loads(answer.read())


def test_jaeger_accepts_its_file() -> None:
    """Jaeger's own check finds no fault."""
    done = subprocess.run(
        [find_jaeger(), "validate", f"--config={FILE}"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_session_is_one_trace_in_jaeger(tmp_path: Path, jaeger: tuple[str, str]) -> None:
    """Sixteen sessions of a bot are sixteen traces there, each span of a delivered one under its root."""
    otlp, query = jaeger
    with (
        GrpcReceiver() as tempo,
        Gateway(tmp_path / "gateway", JAEGER_ENDPOINT=otlp, TEMPO_ENDPOINT=tempo.endpoint) as gateway,
    ):
        with fed(gateway, tmp_path):
            pass

        def traces() -> dict[str, list[dict[str, Any]]]:
            return {one["traceID"]: one["spans"] for one in ask(query, "traces?service=fed-bot&limit=100")["data"]}

        wait_for("all spans", lambda: sum(len(spans) for spans in traces().values()) == gateway.accepted_spans())
        wait_for("the same in Tempo", lambda: len(tempo.spans()) == gateway.accepted_spans())
        found, sessions = traces(), {span.trace_id.hex() for span in tempo.spans()}
    assert found.keys() == sessions
    assert len(sessions) == 16
    delivered = [spans for spans in found.values() if any(span["operationName"] == "user_delivery" for span in spans)]
    assert len(delivered) == 13
    for spans in delivered:
        ids = {span["spanID"] for span in spans}
        assert [span["operationName"] for span in spans if not span["references"]] == ["session"]
        assert all(one["spanID"] in ids for span in spans for one in span["references"])
