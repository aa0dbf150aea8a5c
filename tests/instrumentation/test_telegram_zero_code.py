"""`opentelemetry-instrument python bot.py`: unchanged bots are traced, in whatever provider the environment makes."""

import os
import shutil
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest.importorskip("telegram")
pytest.importorskip("opentelemetry.instrumentation.auto_instrumentation")

from support.telegram_api import TOKEN
from support.telegram_bot import command, message, spans, stages, told

from otel_metrics.testing import temporary_service

BOTS = Path(__file__).parent / "bots"
ROOT = Path(__file__).parents[2]
QUIET = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
ENTRY = "otel_metrics_telegram"

pytestmark = pytest.mark.skipif(
    ENTRY not in entry_points(group="opentelemetry_instrumentor").names,
    reason="the package is installed without the entry point of its instrumentor: install it again",
)


def run_bot(name, api, folder, answers, traced=True, stop=signal.SIGTERM, **environment):
    """Runs a bot of the tests until it has sent so many messages; gives what it wrote to standard error."""
    instrument = shutil.which("opentelemetry-instrument", path=Path(sys.executable).parent) or shutil.which(
        "opentelemetry-instrument"
    )
    command_line = [*([sys.executable, instrument] if traced else []), sys.executable, str(BOTS / name)]
    files = {"METRICS_DATABASE": str(folder / "metrics.db"), "METRICS_LOG_FILE": str(folder / "metrics.jsonl")}
    process = subprocess.Popen(
        command_line, env={**os.environ, **QUIET, **files, "BOT_TOKEN": TOKEN, "BOT_API": api.url, **environment},
        stderr=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    try:
        api.wait_until(lambda: len(api.texts()) >= answers)
        api.wait_until_read()
    finally:
        process.send_signal(stop)
        complaints = process.communicate(timeout=30)[1]
    return complaints


def test_an_echo_bot_is_traced_without_touching_it(telegram_api, tmp_path):
    """The echo bot under `opentelemetry-instrument`: sessions, stages and calls, and neither text nor token in any file."""
    telegram_api.push(message=command("/start MARKED"))
    telegram_api.push(message=message("MARKED"))
    complaints = run_bot("echo_bot.py", telegram_api, tmp_path, 2)
    assert "Traceback" not in complaints
    for path in tmp_path.iterdir():
        content = path.read_bytes() if path.is_file() else b""
        assert b"MARKED" not in content and b"AAExampleTokenThat" not in content, path
    with temporary_service(tmp_path) as service:
        assert told(service) == ["text delivered", "text delivered"]
        assert [one["stage"] for one in stages(service)] == ["query_received", "user_delivery"] * 2
        assert [one["name"] for one in spans(service)] == ["telegram sendMessage"] * 2
        assert service.sql('SELECT count(*) AS n FROM sessions WHERE metadata LIKE \'%"command":"start"%\'') == [
            {"n": 1}
        ]


def test_a_conversation_bot_is_traced_without_touching_it(telegram_api, tmp_path):
    """The conversation bot under `opentelemetry-instrument`: every answer of the person is a session that was delivered."""
    telegram_api.push(message=command("/start"))
    telegram_api.push(message=message("Girl"))
    telegram_api.push(message=message(photo=[{"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}]))
    telegram_api.push(message=message("MARKED"))
    assert "Traceback" not in run_bot("conversation_bot.py", telegram_api, tmp_path, 4)
    with temporary_service(tmp_path) as service:
        assert told(service) == ["text delivered", "text delivered", "photo delivered", "text delivered"]
        assert [one["name"] for one in spans(service)] == [
            "telegram sendMessage", "telegram sendMessage", "telegram getFile", "telegram sendMessage",
            "telegram sendMessage",
        ]  # fmt: skip


def test_what_was_answered_survives_kill_9(telegram_api, tmp_path):
    """A bot that is killed with SIGKILL has left every session that had ended by then, whole."""
    for text in ("one", "two"):
        telegram_api.push(message=message(text))
    run_bot("echo_bot.py", telegram_api, tmp_path, 2, stop=signal.SIGKILL)
    with temporary_service(tmp_path) as service:
        assert told(service)[0] == "text delivered"
        assert [one["stage"] for one in stages(service)][:2] == ["query_received", "user_delivery"]
        assert len(spans(service)) >= 1


def test_who_does_not_ask_gets_nothing(telegram_api, tmp_path):
    """The same bot run by plain Python, or with the instrumentor switched off, leaves no file and makes no session."""
    telegram_api.push(message=message("one"))
    run_bot("echo_bot.py", telegram_api, tmp_path, 1, traced=False)
    telegram_api.push(message=message("two"))
    run_bot("echo_bot.py", telegram_api, tmp_path, 2, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=ENTRY)
    assert list(tmp_path.iterdir()) == []


def test_the_switch_works_under_the_command_too(telegram_api, tmp_path):
    """ENABLE_METRICS=false: the bot answers, and no file is made."""
    telegram_api.push(message=message("one"))
    assert "Traceback" not in run_bot("echo_bot.py", telegram_api, tmp_path, 1, ENABLE_METRICS="false")
    assert list(tmp_path.iterdir()) == []


def test_our_exporter_named_beside_writes_nothing_twice(telegram_api, tmp_path):
    """With OTEL_TRACES_EXPORTER=otel_metrics each span is in the store once."""
    telegram_api.push(message=message("one"))
    run_bot("echo_bot.py", telegram_api, tmp_path, 1, OTEL_TRACES_EXPORTER="otel_metrics")
    with temporary_service(tmp_path) as service:
        assert [one["stage"] for one in stages(service)] == ["query_received", "user_delivery"]
        assert len(service.sql("SELECT 1 FROM spans WHERE name = 'session'")) == 1
        assert len(spans(service)) == 1
