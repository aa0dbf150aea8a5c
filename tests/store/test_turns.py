"""Turns: a courtesy among writers of one file, which never becomes a lock that anybody waits for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_metrics.store import turns
from otel_metrics.store.turns import Turns

HOLDER = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX, 1)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """Turns of a writer that finds every write slow, so that it always asks for its turn from the second line on."""
    monkeypatch.setattr(turns, "_SLOW_S", 0.0)
    return Turns()


def test_a_holder_that_never_lets_go_stops_nobody(tmp_path: Path, crowded: Turns) -> None:
    """While another process keeps the turn for itself, stopped perhaps, lines are written all the same."""
    path = tmp_path / "log"
    path.write_bytes(b"")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        for number in range(20):
            crowded.write(descriptor, b"%d\n" % number)
    finally:
        os.close(descriptor)
        holder.communicate("")
    assert path.read_bytes().split() == [b"%d" % number for number in range(20)]


def test_the_turn_is_given_back_after_every_line(tmp_path: Path, crowded: Turns) -> None:
    """Behind a line, also one that the disk refused, another process finds the turn free."""
    path = tmp_path / "log"
    path.write_bytes(b"")
    for flags, fails in ((os.O_RDWR | os.O_APPEND, False), (os.O_RDONLY, True)):
        descriptor = os.open(path, flags)
        try:
            for _ in range(2):
                try:
                    crowded.write(descriptor, b"line\n")
                except OSError:
                    assert fails
            took = subprocess.run(
                [sys.executable, "-c", HOLDER, str(path)], input="", capture_output=True, text=True, timeout=60
            )
            assert took.stdout == "held\n"
        finally:
            os.close(descriptor)
