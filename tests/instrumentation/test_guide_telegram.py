"""The guide "Trace your Telegram bot in five minutes", followed to the letter against a Bot API server on loopback."""

import os
import re
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest.importorskip("telegram")
pytest.importorskip("opentelemetry.instrumentation.auto_instrumentation")

from support.telegram_api import TOKEN
from support.telegram_bot import command, message

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "trace_your_telegram_bot.md"
BLOCK = re.compile(r"^```([\w-]+)\n(.*?)^```", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(
    "otel_metrics_telegram" not in entry_points(group="opentelemetry_instrumentor").names,
    reason="the package is installed without the entry point of its instrumentor: install it again",
)


def test_the_guide_works_as_written(telegram_api, tmp_path):
    """Its bot, started by its commands, leaves the sessions, stages and calls that it shows."""
    blocks = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    bot, *_ = (body for kind, body in blocks if kind == "py")
    start, look = (body for kind, body in blocks if kind == "sh")
    (shown,) = (body for kind, body in blocks if kind == "text")
    (tmp_path / "bot.py").write_text(bot, encoding="utf-8")
    environment = with_tools(tmp_path / "bin") | {"BOT_TOKEN": TOKEN, "BOT_API": telegram_api.url, "COLUMNS": "160"}
    telegram_api.push(message=command("/start"))
    telegram_api.push(message=message("MARKED"))
    running = subprocess.Popen(
        ["sh", "-ec", start.replace("opentelemetry-instrument", "exec opentelemetry-instrument")],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        telegram_api.wait_until(lambda: len(telegram_api.texts()) >= 2)
        telegram_api.wait_until_read()
    finally:
        running.send_signal(signal.SIGTERM)
        complaints = running.communicate(timeout=30)[1]
    assert "Traceback" not in complaints
    looked = subprocess.run(
        ["sh", "-ec", look], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (looked.returncode, looked.stderr) == (0, "")
    assert looked.stdout.count("delivered") == 2
    names = re.findall(r"[a-zA-Z_]{5,}(?: sendMessage)?", shown)
    assert names == ["session", "delivered", "query_received", "user_delivery", "telegram sendMessage"]
    session = re.search(r"[0-9a-f]{32}", looked.stdout)[0]
    whole = subprocess.run(
        [sys.executable, "-m", "otel_metrics", "session", session],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    assert all(name in whole for name in names[1:])
    assert "MARKED" not in whole


def with_tools(folder):
    """An environment whose commands are those of this Python."""
    folder.mkdir()
    here = Path(sys.executable).parent
    (folder / "otel-metrics").write_text(f'#!/bin/sh\nexec {sys.executable} -m otel_metrics "$@"\n', encoding="utf-8")
    (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    for tool in folder.iterdir():
        tool.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{here}:{os.environ['PATH']}"}
