"""Owns the count of what a process could not keep, by reason: nothing is dropped without being counted."""

import threading
from collections import Counter


class Losses:
    """Counts of dropped records by reason, safe to use from any thread."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._mutex = threading.Lock()

    def count(self, reason: str) -> int:
        """Adds one and gives the count so far."""
        with self._mutex:
            self._counts[reason] += 1
            return self._counts[reason]

    def snapshot(self) -> dict[str, int]:
        """The counts by reason."""
        with self._mutex:
            return dict(self._counts)

    def forget(self) -> None:
        """In a forked child: starts at nothing, with a lock of its own."""
        self._mutex = threading.Lock()
        self._counts = Counter()
