"""Owns the waiting for the writers of log files that are over, and the names of those that do not let go."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from otel_metrics.errors import StoreError
from otel_metrics.model.records import ProcessBegin
from otel_metrics.store.alive import is_alive
from otel_metrics.store.journal_files import has_no_writer

_LOCKS = Path("/proc/locks")
_PROCESS = b'{"kind":"process"'
_LOOK_EVERY_S = 0.02


def wait_for_writers(paths: Iterable[Path], wait_s: float) -> None:
    """Returns when nobody writes to the files any more: writers look once a second which file is the current one.

    Raises `StoreError` with the processes that still write after `wait_s`.
    """
    deadline = time.monotonic() + wait_s
    for path in paths:
        while not _is_free(path):
            if time.monotonic() >= deadline:
                raise StoreError(
                    f"{path.name} is still written by {_told(path)} after {wait_s:g} s",
                    "that it goes on to the new log within a second or two",
                    "let it record something or end it, then run `forget` again",
                )  # fmt: skip
            time.sleep(_LOOK_EVERY_S)


def _is_free(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return has_no_writer(file.fileno())
    except FileNotFoundError:
        return True


def _told(path: Path) -> str:
    """The processes by their numbers, as the kernel knows them, or else as the file's own lines do."""
    numbers = sorted(_holders(path) or _writers(path))
    if not numbers:
        return "a process that is not known here"
    words = [f"{number} (this one)" if number == os.getpid() else str(number) for number in numbers]
    return f"process{'' if len(words) == 1 else 'es'} {', '.join(words)}"


def _holders(path: Path) -> set[int]:
    """Who holds a lock on the file, by the kernel's table."""
    found = set()
    with suppress(OSError, ValueError):
        status = path.stat()
        place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in _LOCKS.read_text(encoding="ascii").splitlines():
            match line.split():  # 1: FLOCK  ADVISORY  READ 4711 08:01:12345 0 EOF
                case [_, "FLOCK", _, _, number, where, *_] if where == place:
                    found.add(int(number))
    return {number for number in found if is_alive(number)}


def _writers(path: Path) -> set[int]:
    """Who wrote to the file and lives."""
    found = set()
    with suppress(OSError), path.open("rb") as file:
        for line in file:
            if line.startswith(_PROCESS):
                with suppress(msgspec.DecodeError):
                    found.add(msgspec.json.decode(line, type=ProcessBegin).pid)
    return {number for number in found if is_alive(number)}
