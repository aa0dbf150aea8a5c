"""Owns the display of long work: on standard error, only on a terminal, and only when the work takes long enough."""

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from otel_metrics.delivery.cli.streams import note_console

_LATE_S = 0.4


class Work:
    """A piece of work that tells how far it is; the bar goes when the work is done."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._console = note_console()
        self._begun = time.monotonic()
        self._display: Progress | None = None
        self._task = None if not self._console.is_terminal else -1

    def update(self, done: float, total: float) -> None:
        """So much of so much is done."""
        if self._task is None or (self._display is None and time.monotonic() - self._begun < _LATE_S):
            return
        if self._display is None:
            self._display = Progress(
                TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
                console=self._console, transient=True,
            )  # fmt: skip
            self._task = self._display.add_task(self._what)
            self._display.start()
        self._display.update(self._display.task_ids[0], completed=done, total=max(total, 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.stop()
