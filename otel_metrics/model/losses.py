"""Owns the count of what a process could not keep or had to mend, by reason: nothing goes without being counted."""

import threading
from collections import Counter

LIMIT_REASON = "disk_cap"
"""Lines that were written and then deleted unread at the size limit: a part of what was emitted, not more of it."""


class Losses:
    """Counts by reason, safe to use from any thread: records that were dropped, and faults in which none was."""

    def __init__(self) -> None:
        self._dropped: Counter[str] = Counter()
        self._noted: Counter[str] = Counter()
        self._mutex = threading.Lock()
        self.untold = False
        """Whether records were dropped that the journal has not been told of."""

    def drop(self, reason: str, count: int = 1) -> int:
        """Counts records that are not kept and gives the number of all of them so far."""
        with self._mutex:
            self._dropped[reason] += count
            self.untold = True
            return self._dropped.total()

    def note(self, reason: str) -> None:
        """Counts a fault that cost no record: a value that had to be mended, a pass that is tried again."""
        with self._mutex:
            self._noted[reason] += 1

    def dropped(self) -> dict[str, int]:
        """Dropped records by reason."""
        with self._mutex:
            return dict(self._dropped)

    def take_untold(self) -> dict[str, int]:
        """Dropped records by reason, if the journal has not been told of them; empty otherwise. They count as told then."""
        with self._mutex:
            told, self.untold = not self.untold, False
            return {} if told else dict(self._dropped)

    def snapshot(self) -> dict[str, int]:
        """All counts by reason."""
        with self._mutex:
            return dict(self._noted + self._dropped)

    def forget(self) -> None:
        """In a forked child: starts at nothing, with a lock of its own."""
        self._mutex = threading.Lock()
        self._dropped, self._noted = Counter(), Counter()
        self.untold = False
