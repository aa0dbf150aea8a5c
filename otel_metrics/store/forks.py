"""Owns what keeps forks and SQLite apart: no fork while a connection is open, and no connection where that was not kept.

SQLite notes its locks and shared memory once for the whole process. A child that is forked while a connection is open
inherits notes that are not true for it: it then waits for locks that nobody holds, or reads memory of a file that is
gone and takes a sound database for a damaged one.
"""

import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from otel_metrics.errors import StoreError

_PATIENCE_S = 2.0


class ForkGate:
    """Open connections, and modules being loaded, keep a fork waiting, for two seconds at most; what takes long looks at `wanted` and makes room."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: Counter[int] = Counter()
        self._loading: Counter[int] = Counter()
        self.wanted = False
        self.shut = False
        """In a child of a fork that came all the same: here SQLite must not be used."""
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    @contextmanager
    def connection(self) -> Iterator[None]:
        """The life of one connection. Raises `StoreError` where none may be opened."""
        if self.shut:
            raise StoreError(
                "this process was forked while its parent used the database", "a process that may use SQLite",
                "ask in another process; what is recorded here is kept",
            )  # fmt: skip
        with self._counted(self._open):
            yield

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Modules are loaded by a background thread: a child would wait for ever for one that is half loaded."""
        with self._counted(self._loading):
            yield

    @contextmanager
    def _counted(self, counter: Counter[int]) -> Iterator[None]:
        thread = threading.get_ident()
        with self._changed:
            counter[thread] += 1
        try:
            yield
        finally:
            with self._changed:
                counter[thread] -= 1
                self._changed.notify_all()

    def _before(self) -> None:
        self.wanted = True
        self._changed.acquire()  # and so no other thread opens one until the fork is done
        own = threading.get_ident()
        self._changed.wait_for(lambda: self._is_free(own), _PATIENCE_S)

    def _is_free(self, own: int) -> bool:
        return all(counter.total() == counter[own] for counter in (self._open, self._loading))

    def _in_parent(self) -> None:
        self.wanted = False
        self._changed.release()

    def _in_child(self) -> None:
        self.wanted = False
        self.shut = self.shut or self._open.total() > 0
        self._open, self._loading = Counter(), Counter()
        self._changed = threading.Condition()


def in_children(method: Callable[[], object]) -> None:
    """Calls a bound method in every forked child, for as long as its object lives."""
    if hasattr(os, "register_at_fork"):
        living = weakref.WeakMethod(method)
        os.register_at_fork(after_in_child=lambda: (method := living()) and method())


GATE = ForkGate()
"""One for the process, as SQLite's notes are."""
