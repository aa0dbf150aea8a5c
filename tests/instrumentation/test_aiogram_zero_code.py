"""`opentelemetry-instrument python bot.py`: unchanged aiogram bots are traced, and nothing of what people wrote is kept."""

import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("aiogram")
pytest.importorskip("opentelemetry.instrumentation.auto_instrumentation")

from support.aiogram_bot import ANN, Json, calls, message, sessions, stages, told
from support.processes import environment
from support.telegram_api import TOKEN, TelegramApi

from otel_metrics.testing import temporary_service

BOTS = Path(__file__).parent / "bots"
ROOT = Path(__file__).parents[2]
QUIET = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


@pytest.fixture
def api() -> Iterator[TelegramApi]:
    """A Bot API server of this test's own."""
    with TelegramApi() as served:
        yield served


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder that holds the package's entry points as an installation of this source tree would."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = tmp_path / "site" / "otel_metrics-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: otel_metrics\nVersion: 0\n")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {where}" for name, where in points.items())])
        for group, points in project["entry-points"].items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups) + "\n")
    return info.parent


def run_bot(
    name: str, api: TelegramApi, folder: Path, installed: Path, steps: list[Json], *, instrument: bool = True
) -> str:
    """Runs a bot, gives it each update when it has answered the one before, stops it as an operator does, and gives its output."""
    tool = shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))
    assert tool is not None
    more = {"BOT_TOKEN": TOKEN, "BOT_API": api.url, "PYTHONPATH": f"{installed}:{ROOT}", **QUIET}
    before = [sys.executable, tool] if instrument else []
    process = subprocess.Popen(
        [*before, sys.executable, str(BOTS / name)], env=environment(folder, **more), cwd=folder,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        for number, update in enumerate(steps, start=1):
            api.push(**update)
            api.wait_until(lambda number=number: sum(one[:4] in {"send", "edit"} for one in api.methods()) >= number)
        api.wait_until_read()
        if instrument:
            wait_for_ends(folder / "metrics.jsonl", len(steps))
        process.send_signal(signal.SIGTERM)
        output = process.communicate(timeout=30)[0]
    finally:
        process.kill()
    assert process.returncode == 0, output
    return output


def wait_for_ends(log: Path, sessions: int) -> None:
    """Waits until so many sessions have ended: aiogram's stop cancels handlers that still run."""
    deadline = time.monotonic() + 30
    while log.read_text(encoding="utf-8").count('"session_ended"') < sessions:
        assert time.monotonic() < deadline, f"not {sessions} sessions have ended in 30 s"
        time.sleep(0.01)


def nothing_private(folder: Path, *texts: str) -> bool:
    """Whether neither the token nor any of the texts stands in a file of the store."""
    written = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    return bool(written) and not any(text.encode() in written for text in (TOKEN, *texts))


def test_an_unchanged_echo_bot_is_traced(tmp_path, installed, api):
    """Every update of the echo bot is a delivered session with its kind and command, and a call inside of the delivery."""
    photo = [{"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}]
    told_to_it = [message("/start"), message("MARKED"), message(photo=photo, caption="MARKED")]
    output = run_bot("aiogram_echo_bot.py", api, tmp_path, installed, [{"message": one} for one in told_to_it])
    assert "Traceback" not in output
    assert nothing_private(tmp_path, "MARKED")
    with temporary_service(tmp_path) as service:
        assert sorted(told(service)) == ["photo delivered", "text delivered", "text delivered"]
        assert [one["metadata"].get("command") for one in sessions(service)].count("start") == 1
        assert sorted(stages(service)) == ["query_received"] * 3 + ["user_delivery"] * 3
        assert sorted(calls(service)) == ["telegram sendMessage"] * 2 + ["telegram sendPhoto"]


def test_an_unchanged_conversation_bot_is_traced(tmp_path, installed, api):
    """A conversation with states, buttons, an error handler and a returned answer: each update a session, errors by kind."""
    steps = [
        {"message": message("/start")},
        {"message": message("MARKED")},
        {"callback_query": {"id": "1", "from": ANN, "chat_instance": "1", "data": "size:large", "message": message("Size?")}},
        {"message": message("two")},
        {"message": message("2")},
    ]  # fmt: skip
    output = run_bot("aiogram_conversation_bot.py", api, tmp_path, installed, steps)
    assert "Traceback" not in output
    assert api.texts()[-1] == "2 large for MARKED."
    assert nothing_private(tmp_path, "MARKED")
    with temporary_service(tmp_path) as service:
        assert told(service) == [
            "text delivered", "text delivered", "callback_query delivered", "text failed", "text delivered",
        ]  # fmt: skip
        assert stages(service).count("query_received ValueError") == 1
        assert stages(service).count("user_delivery") == 5


def test_the_bot_answers_the_same_without_tracing(tmp_path, installed, api):
    """Run plainly, with the package installed, the same bot makes the same calls and no file appears."""
    steps = [{"message": message("MARKED")}]
    run_bot("aiogram_echo_bot.py", api, tmp_path, installed, steps, instrument=False)
    assert api.texts() == ["MARKED"]
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []
