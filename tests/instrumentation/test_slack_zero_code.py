"""`opentelemetry-instrument python bot.py`: an unchanged Slack app is traced."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from support.slack_api import SECRET, TOKEN, SlackApi, command, message, signed
from support.stores import rows

from otel_metrics.testing import temporary_service

pytest.importorskip("opentelemetry.instrumentation.auto_instrumentation")
BOT = Path(__file__).parent / "bots" / "slack_bot.py"
ENTRY = "otel_metrics_slack"
QUIET = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}

pytestmark = pytest.mark.skipif(
    ENTRY not in entry_points(group="opentelemetry_instrumentor").names,
    reason="the package is installed without the entry point of its instrumentor: install it again",
)


def run_bot(api: SlackApi, folder: Path, *, instrumented: bool) -> str:
    """Runs the app until it has answered a message and a command; gives what it wrote to standard error."""
    from urllib.request import urlopen

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    instrument = shutil.which("opentelemetry-instrument", path=Path(sys.executable).parent) or shutil.which(
        "opentelemetry-instrument"
    )
    environment = {
        "METRICS_DATABASE": str(folder / "metrics.db"), "METRICS_LOG_FILE": str(folder / "metrics.jsonl"),
        "SLACK_BOT_TOKEN": TOKEN, "SLACK_SIGNING_SECRET": SECRET, "SLACK_API": f"{api.url}/api/", "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    line = [*([sys.executable, str(instrument)] if instrumented else []), sys.executable, str(BOT)]
    process = subprocess.Popen(
        line, env={**os.environ, **QUIET, **environment}, cwd=folder, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert "running" in process.stdout.readline()  # the server's own word that it listens
        for body in (message(), command("/ask", "a question that nobody else may read", api)):
            with urlopen(signed(f"http://127.0.0.1:{port}/slack/events", body), timeout=10) as response:
                assert response.status == 200
        api.wait_until(lambda: len(api.methods()) == 2)
    finally:
        process.send_signal(signal.SIGINT)
        complaints = process.communicate(timeout=30)[1]
    return complaints


def test_a_slack_app_is_traced_without_touching_it(tmp_path: Path) -> None:
    """The app under `opentelemetry-instrument`: sessions, stages and calls, and neither text nor token in any file."""
    with SlackApi() as api:
        complaints = run_bot(api, tmp_path, instrumented=True)
    assert "Failed" not in complaints
    for path in (path for path in tmp_path.iterdir() if path.is_file()):
        content = path.read_bytes()
        assert not [word for word in (b"nobody else may read", TOKEN.encode(), SECRET.encode()) if word in content], (
            path
        )
    with temporary_service(tmp_path) as service:
        made = {row["metadata"]["message_kind"]: row["outcome"] for row in rows(service, "sessions")}
        assert made == {"text": "delivered", "command": "delivered"}
        calls = {row["name"] for row in rows(service, "spans", "name LIKE 'slack %'")}
        assert {"slack chat.postMessage", "slack views.open"} <= calls


def test_who_does_not_ask_gets_nothing(tmp_path: Path) -> None:
    """The same app run by plain Python leaves no file."""
    with SlackApi() as api:
        run_bot(api, tmp_path, instrumented=False)
    assert list(tmp_path.iterdir()) == []
