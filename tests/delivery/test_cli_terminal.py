"""On a real terminal: colours and their absence, the dashboard that stays, progress of long work."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

import pytest
from support.cli import real
from support.processes import environment

EAGER = """
from otel_metrics.delivery.cli import main, progress
progress._LATE_S = 0.02  # a test's work does not take long
main()
"""
COLOUR = re.compile(rb"\x1b\[[\d;]*3[1-6]m")


class Terminal:
    """A command on a pseudo terminal of a given size."""

    def __init__(self, folder, *arguments: object, columns: int = 80, rows: int = 24, **variables: str) -> None:
        self.master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        variables = {"TERM": "xterm-256color", **variables}
        self.process = subprocess.Popen(
            [sys.executable, "-c", EAGER, *map(str, arguments)], cwd=folder,
            env={**environment(folder, **variables), "COLUMNS": str(columns), "LINES": str(rows)},
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.output = b""

    def read_until(self, mark: bytes | None, timeout_s: float = 30) -> bytes:
        """What was written up to a mark, or to the end."""
        deadline = time.monotonic() + timeout_s
        while (mark is None or mark not in self.output) and time.monotonic() < deadline:
            if not select.select([self.master], [], [], 0.05)[0]:
                continue
            with contextlib.suppress(OSError):  # the other end is closed
                if piece := os.read(self.master, 65536):
                    self.output += piece
                    continue
            break
        return self.output

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(request):
    opened = []

    def start(*arguments: object, **options: object) -> Terminal:
        opened.append(Terminal(*arguments, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_a_terminal_gets_colours(terminal, demo_folder):
    """On a terminal the dashboard is coloured."""
    assert COLOUR.search(terminal(demo_folder, "dashboard").read_until(None))


def test_no_color_is_honoured(terminal, demo_folder):
    """NO_COLOR takes every colour away."""
    output = terminal(demo_folder, "dashboard", NO_COLOR="1").read_until(None)
    assert b"moderation_queue" in output
    assert not COLOUR.search(output)


def test_a_pipe_gets_no_escape_codes(demo_folder):
    """In a pipe there is text and nothing else."""
    for command in (("dashboard",), ("sessions",), ("queue",), ("alerts", "messages"), ("doctor",), ("--help",)):
        assert "\x1b" not in real(*command, folder=demo_folder).stdout


def test_the_dashboard_stays_until_ctrl_c(terminal, demo_folder):
    """--watch fills the screen, fits into 24 lines, and Ctrl-C gives the screen back with status 0."""
    watching = terminal(demo_folder, "dashboard", "--watch")
    output = watching.read_until(b"Moderator")
    assert b"\x1b[?1049h" in output
    watching.process.send_signal(signal.SIGINT)
    assert b"\x1b[?1049l" in watching.read_until(None)
    assert watching.process.wait(30) == 0
    assert b"Traceback" not in watching.output


def test_the_queue_stays_with_its_course(terminal, demo_folder):
    """--watch shows sparklines of the last hour above what waits; without colours too, and Ctrl-C ends it."""
    watching = terminal(demo_folder, "queue", "--watch", NO_COLOR="1")
    output = watching.read_until(b"waiting  for").decode()
    assert "last hour" in output and "▁" in output
    watching.process.send_signal(signal.SIGINT)
    watching.read_until(None)
    assert watching.process.wait(30) == 0
    assert not COLOUR.search(watching.output) and b"Traceback" not in watching.output


def test_a_session_is_a_coloured_waterfall(terminal, demo_folder):
    """Waits, model calls, corrections and logs have colours of their own on a terminal, none with NO_COLOR, and signs in a pipe."""
    listed = json.loads(real("sessions", "--format", "json", "--limit", 100, folder=demo_folder).stdout)
    chosen = max(listed, key=lambda one: (one["corrections"], one["stages"]))["session_id"]
    coloured = terminal(demo_folder, "session", chosen).read_until(None)
    for code in (b"35m", b"34m", b"33m"):  # wait, call, correction
        assert b"\x1b[" in coloured and code in coloured
    assert not COLOUR.search(terminal(demo_folder, "session", chosen, NO_COLOR="1").read_until(None))
    piped = real("session", chosen, folder=demo_folder).stdout
    assert "\x1b" not in piped
    assert all(sign in piped for sign in ("┅ wait", "─ model call", "◆"))


@pytest.mark.parametrize("command", ["dashboard", "queue"])
def test_watch_needs_a_terminal(demo_folder, command):
    """In a pipe it is refused in one line, and so is another format."""
    for arguments in (("--watch",), ("--watch", "--format", "json")):
        result = real(command, *arguments, folder=demo_folder)
        assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_a_low_window_says_what_is_hidden(terminal, demo_folder):
    """Where the window is too low, the last line says how much more there is."""
    assert b"more lines in a higher window" in terminal(demo_folder, "dashboard", "--watch", rows=12).read_until(
        b"higher window"
    )


def test_watching_waits_for_a_store(terminal, tmp_path):
    """Where there is no store yet, --watch waits for one and shows it when it is there."""
    watching = terminal(tmp_path, "dashboard", "--watch")
    watching.read_until(b"Waiting for it")
    assert real("demo", "--sessions", 20, folder=tmp_path).returncode == 0
    assert b"moderation_queue" in watching.read_until(b"moderation_queue")


def test_long_work_shows_progress(terminal, tmp_path):
    """Work that takes long shows a bar on a terminal, and it is gone at the end."""
    output = terminal(tmp_path, "demo", "--sessions", 1000).read_until(b"What next", timeout_s=60)
    assert b"Running a bot for 1,000 sessions" in output


def test_a_long_log_shows_progress(terminal, tmp_path, demo_folder):
    """Moving a long log into the tables is work that can be watched."""
    assert real("demo", "--sessions", 1500, folder=tmp_path).returncode == 0
    for path in tmp_path.glob("metrics.db*"):
        path.unlink()
    output = terminal(tmp_path, "alerts").read_until(None, timeout_s=60)
    assert b"Moving the log into the tables" in output
    assert b"Moderators" in output or b"No alerts" in output
