"""Faults at the edge of a process, on order: file calls that fail, stop short, stop or kill it, and a clock that jumps.

A small library (`edge.c`) is preloaded into real processes; what it does stands in a file that is mapped into them and
into the test, so that orders take effect at once while they live:

    faults = faults_in(tmp_path)
    start(BOT, tmp_path, **faults.variables)
    faults.fail("/metrics.jsonl", Operation.WRITE, errno.ENOSPC, first=7, times=3)
    faults.clock_offset_s = -3600.0
    faults.heal()

A process that is told by itself what it is to suffer, such as a forked one, uses `Faults.of_this_process()`.
"""

import ctypes
import mmap
import os
import shutil
import signal
import subprocess
import sys
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Self

import pytest

_SOURCE = Path(__file__).with_name("edge.c")
_FILE_VARIABLE = "FAULTS_FILE"
_LOGGED, _TEXT = 8192, 256
FOREVER = 0
"""As `times`: every call from the first on, until `heal`."""

needs_faults = pytest.mark.skipif(
    sys.platform != "linux" or sys.maxsize < 1 << 32 or shutil.which("cc") is None,
    reason="faults need Linux of 64 bits and a C compiler (cc)",
)


class Operation(IntFlag):
    """What a process may ask of the system. `OPEN` is opening to write or create, `READ` opening to read alone."""

    OPEN = 1
    READ = 2
    WRITE = 4
    SYNC = 8
    RENAME = 16
    LINK = 32
    TRUNCATE = 64
    UNLINK = 128


EVERY = Operation(255)


class _Action(IntEnum):
    COUNT = 0
    FAIL = 1
    SHORTEN = 2
    KILL_BEFORE = 3
    KILL_AFTER = 4
    STOP_AFTER = 5


class _Edge(ctypes.Structure):
    """The layout of `struct edge` in edge.c."""

    _fields_ = (
        ("clock_offset_ns", ctypes.c_int64), ("operations", ctypes.c_uint32), ("action", ctypes.c_uint32),
        ("error", ctypes.c_int32), ("pid", ctypes.c_int32), ("kept", ctypes.c_int64), ("first", ctypes.c_uint64),
        ("times", ctypes.c_uint64), ("seen", ctypes.c_uint64), ("hit", ctypes.c_uint64), ("lazy", ctypes.c_uint64), ("text", ctypes.c_char * _TEXT),
        ("log", ctypes.c_uint8 * _LOGGED),
    )  # fmt: skip


class Faults:
    """Orders to the processes that share one file. An order takes the place of the one before and counts from 0.

    Calls are counted together over all processes of the file, unless an order names one by its `pid`. `first` is the
    first call that is hit, from 1; `times` how many in a row. What would bring data to the disk is answered and not
    done, unless `lazy` is set to False: nobody here loses power.
    """

    def __init__(self, file: Path, library: Path | None = None) -> None:
        self._file, self._library = file, library
        fresh = not file.exists()
        if fresh:
            file.write_bytes(bytes(ctypes.sizeof(_Edge)))
        with file.open("r+b") as opened:
            self._edge = _Edge.from_buffer(mmap.mmap(opened.fileno(), ctypes.sizeof(_Edge)))
        if fresh:
            self.lazy = True

    @classmethod
    def of_this_process(cls) -> Self:
        """The orders that this process itself obeys."""
        return cls(Path(os.environ[_FILE_VARIABLE]))

    @property
    def variables(self) -> dict[str, str]:
        """What a process must have in its environment to obey."""
        return {"LD_PRELOAD": str(self._library), _FILE_VARIABLE: str(self._file)}

    def count(self, text: str, operations: Operation, *, pid: int = 0) -> None:
        """Harms nothing, and counts the calls whose path contains the text."""
        self._order(_Action.COUNT, text, operations, pid=pid)

    def fail(
        self, text: str, operations: Operation, error: int, *, first: int = 1, times: int = 1, pid: int = 0
    ) -> None:
        """Refuses calls with an error number, without doing anything."""
        self._order(_Action.FAIL, text, operations, error=error, first=first, times=times, pid=pid)

    def shorten(self, text: str, kept: int, error: int, *, first: int = 1, times: int = 1, pid: int = 0) -> None:
        """Lets a write take `kept` bytes (all but so many where below 0); the hit writes behind it are refused."""
        operations = Operation.WRITE
        self._order(_Action.SHORTEN, text, operations, error=error, kept=kept, first=first, times=times, pid=pid)

    def kill(self, text: str, operations: Operation, *, first: int, after: bool, pid: int = 0) -> None:
        """Kills the process by SIGKILL at a call: before the system has done it, or after."""
        action = _Action.KILL_AFTER if after else _Action.KILL_BEFORE
        self._order(action, text, operations, first=first, times=FOREVER, pid=pid)

    def stop(self, text: str, operations: Operation, *, first: int, pid: int = 0) -> None:
        """Stops the process when the system has done a call, until somebody sends SIGCONT."""
        self._order(_Action.STOP_AFTER, text, operations, first=first, pid=pid)

    def heal(self) -> None:
        """Takes the order back. What was counted stands until the next one."""
        self._edge.operations = 0

    @property
    def clock_offset_s(self) -> float:
        """By how much the time of day of the processes is shifted; their monotonic clocks are not."""
        return float(self._edge.clock_offset_ns / 1e9)

    @clock_offset_s.setter
    def clock_offset_s(self, seconds: float) -> None:
        self._edge.clock_offset_ns = round(seconds * 1e9)

    @property
    def lazy(self) -> bool:
        """Whether `fsync` and `fdatasync` do nothing where they are not harmed."""
        return bool(self._edge.lazy)

    @lazy.setter
    def lazy(self, lazy: bool) -> None:
        self._edge.lazy = lazy

    @property
    def seen(self) -> int:
        """How many calls have matched since the order."""
        return int(self._edge.seen)

    @property
    def hit(self) -> int:
        """How many of them were harmed."""
        return int(self._edge.hit)

    @property
    def calls(self) -> list[Operation]:
        """What each of the calls was, as far as they were logged."""
        return [Operation(one) for one in self._edge.log[: min(self.seen, _LOGGED)]]

    def _order(
        self, action: _Action, text: str, operations: Operation, *, pid: int, error: int = 0, kept: int = 0,
        first: int = 1, times: int = 1,
    ) -> None:  # fmt: skip
        edge = self._edge
        self.heal()
        edge.action, edge.error, edge.kept, edge.pid = action, error, kept, pid
        edge.first, edge.times, edge.seen, edge.hit = first, times, 0, 0
        edge.text = text.encode()
        edge.operations = operations  # last: from here on it is obeyed


def faults_in(tmp_path: Path) -> Faults:
    """Faults for the processes of one test, whose `tmp_path` this is."""
    assert sys.platform == "linux"
    return Faults(tmp_path / "faults", _built(tmp_path))


def _built(tmp_path: Path) -> Path:
    """The library, built once in a test run: in the run's own folder, under a name of its own until it is whole."""
    run = tmp_path.parents[1 if "PYTEST_XDIST_WORKER" in os.environ else 0]
    library = run / "edge.so"
    if not library.exists():
        draft = run / f"edge.{os.getpid()}.so"
        command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o", str(draft), str(_SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        draft.replace(library)
    return library


def is_stopped(pid: int) -> bool:
    """Whether a process has been stopped; of one that is gone it is not true."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(") ")[2].startswith("T")


KILLED = -signal.SIGKILL
"""The exit status of a process that was killed."""
