"""Owns how processes that write to one file at full speed let one another through."""

import fcntl
import os
import time
from contextlib import suppress

_SLOW_S = 200e-6
_LINES_IN_TURN = 5_000
_LINES_FREE = 1_000
_NAP_S = 20e-6
_PATIENCE_S = 1e-3


class Turns:
    """Writes lines, one process after another where many crowd at the file, and freely otherwise.

    The kernel lets one writer at a time into a file. With more busy writers than processors, one that is put off the
    processor in there blocks all others, and those that wait are overtaken by those that run: a hundredth of all writes
    then took 270 times as long as the middle one. A lock that is asked for and never waited for, with a short nap after
    each refusal, keeps them from crowding. It is a courtesy and no protection: who has been refused for a millisecond,
    by a holder that is stopped perhaps, writes all the same. And who held it for that long himself, because another
    thread took Python's global lock meanwhile, leaves it alone for a while.
    """

    def __init__(self) -> None:
        self._in_turn = 0
        self._free = 0

    def write(self, descriptor: int, line: bytes) -> int:
        """Like `os.write`."""
        if self._in_turn:
            return self._write_in_turn(descriptor, line)
        began = time.perf_counter()
        taken = os.write(descriptor, line)
        if self._free:
            self._free -= 1
        elif time.perf_counter() - began > _SLOW_S:
            self._in_turn = _LINES_IN_TURN
        return taken

    def _write_in_turn(self, descriptor: int, line: bytes) -> int:
        self._in_turn -= 1
        refused_until = time.perf_counter() + _PATIENCE_S
        while not _has_turn(descriptor):
            self._in_turn = _LINES_IN_TURN
            if time.perf_counter() >= refused_until:
                return os.write(descriptor, line)
            time.sleep(_NAP_S)
        began = time.perf_counter()
        try:
            return os.write(descriptor, line)
        finally:
            with suppress(OSError):
                fcntl.lockf(descriptor, fcntl.LOCK_UN, 1)
            if time.perf_counter() - began > _PATIENCE_S:
                self._in_turn, self._free = 0, _LINES_FREE


def _has_turn(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
    except BlockingIOError:
        return False
    except OSError:  # a file system without such locks
        return True
    return True
