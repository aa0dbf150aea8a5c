"""Owns what the tests of a bot need: a clock that moves when it is told to, and a service that lives as long as a test."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from otel_metrics.model.times import Clock, TimeInput, to_ns
from otel_metrics.process import configure, shutdown
from otel_metrics.service import MetricsService

_NS_PER_S = 1_000_000_000


class SteppedClock:
    """A clock that stands still until `advance()`: durations are exactly what a test says they are.

    With `step_s` every reading of the time of day is that much later than the one before.
    """

    def __init__(self, start: TimeInput = "2026-01-01T12:00:00Z", step_s: float = 0.0) -> None:
        self._time_ns = to_ns(start)
        self._elapsed_ns = 0
        self._step_s = step_s

    def advance(self, seconds: float) -> None:
        """Moves the clock on."""
        self._time_ns += round(seconds * _NS_PER_S)
        self._elapsed_ns += round(seconds * _NS_PER_S)

    def set_time(self, moment: TimeInput) -> None:
        """Sets the time of day, as an administrator or a time server would; measured durations do not change by it."""
        self._time_ns = to_ns(moment)

    def time_ns(self) -> int:
        """The time of day in nanoseconds since the epoch."""
        now_ns = self._time_ns
        if self._step_s:
            self.advance(self._step_s)
        return now_ns

    def perf_counter_ns(self) -> int:
        """Nanoseconds since the clock was made."""
        return self._elapsed_ns


@contextmanager
def temporary_service(
    folder: Path | None = None, *, clock: Clock | None = None, **settings: Any
) -> Iterator[MetricsService]:
    """The process's service, with a store of its own in `folder` or in a temporary one; shut down at the end.

    What would be warned about or dropped in a bot raises here (`strict`), and nothing runs in the background: rows are
    moved into the tables when somebody asks or calls `flush()`. `settings` are those of `configure()`.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="otel_metrics-")))
        files = {"database": folder / "metrics.db", "log_file": folder / "metrics.jsonl"}
        service = configure(clock=clock, **{**files, "strict": True, "drain_interval_s": 0, **settings})
        stack.callback(shutdown)
        yield service
