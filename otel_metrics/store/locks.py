"""Owns the file lock: one holder at a time among all processes, released by the kernel whatever its holder dies of."""

import fcntl
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from otel_metrics.store.forks import in_children
from otel_metrics.store.layout import open_private


class FileLock:
    """An exclusive `flock` on a file of its own; not re-entrant, and shared by the threads of a process.

    A forked child does not go on holding its parent's lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._descriptor: int | None = None
        in_children(self._forget)

    def acquire(self, timeout_s: float = 0.0) -> bool:
        """Takes the lock, waiting at most `timeout_s` seconds; False if somebody else kept it."""
        deadline = time.monotonic() + timeout_s
        if not self._mutex.acquire(timeout=timeout_s if timeout_s > 0 else -1, blocking=timeout_s > 0):
            return False
        try:
            descriptor = open_private(self._path, os.O_RDWR | os.O_CREAT)
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._descriptor = descriptor
                    return True
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        os.close(descriptor)
                        break
                    time.sleep(0.005)
                except BaseException:
                    os.close(descriptor)
                    raise
        except BaseException:
            self._mutex.release()
            raise
        self._mutex.release()
        return False

    def release(self) -> None:
        """Gives the lock back."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough: a child forked while we waited has it open
            os.close(descriptor)
            self._mutex.release()

    def _forget(self) -> None:
        """In a forked child: lets go of what the parent held, without unlocking it for the parent."""
        descriptor, self._descriptor = self._descriptor, None
        self._mutex = threading.Lock()
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        if not self.acquire(timeout_s=30.0):
            raise TimeoutError(f"{self._path} was held by another process for 30 s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
