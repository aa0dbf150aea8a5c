"""Owns the pauses by which work in a background thread leaves Python's global lock to the threads that serve the bot."""

import time

_PAUSE_S = 0.00005  # with 0 this thread would often have the lock again before another one has woken up
_SHORTEST_S, _LONGEST_S = 0.0001, 0.005


class Breath:
    """Works for a tenth of a millisecond at a time, then pauses; for longer, where others computed in the pause.

    Python itself makes a thread that waits for the lock wait for 5 ms, which a bot's loop feels at each of its system
    calls. A thread that computes without rest gives the lock back after 5 ms only: beside that one the slices are as
    long. That a pause took long says nothing by itself: the processors may have been at other programs.
    """

    lines_at_once = 16
    batch_bytes = 1 << 20

    def __init__(self) -> None:
        self._next = time.perf_counter() + _SHORTEST_S

    def take(self) -> None:
        """Pauses, if it is time."""
        if time.perf_counter() >= self._next:
            before = time.process_time()
            time.sleep(_PAUSE_S)
            by_others_s = time.process_time() - before
            self._next = time.perf_counter() + min(max(by_others_s, _SHORTEST_S), _LONGEST_S)


class NoBreath(Breath):
    """For a desk, where nobody waits."""

    lines_at_once = 1 << 20
    batch_bytes = 4 << 20

    def take(self) -> None:
        """Goes on."""
