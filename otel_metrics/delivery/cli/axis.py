"""Owns the time axis of a waterfall: from the first start to the last end, with round ticks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from otel_metrics.delivery.cli.bars import place
from otel_metrics.delivery.cli.numbers import tick

_S, _M, _H, _D = 1e3, 60e3, 3600e3, 86400e3
_STEPS = (
    *(one * scale for scale in (1, 10, 100) for one in (1, 2, 5)),
    *(one * _S for one in (1, 2, 5, 10, 15, 30)), *(one * _M for one in (1, 2, 5, 10, 15, 30)),
    *(one * _H for one in (1, 2, 3, 6, 12)), *(one * _D for one in (1, 2, 5, 10, 30, 100, 365)),
)  # fmt: skip
_LABEL = 9


@dataclass(frozen=True, slots=True)
class Axis:
    """A stretch of time that is as long as all that is drawn on it."""

    begin: datetime
    length_ms: float

    @classmethod
    def over(cls, rows: list[dict[str, Any]]) -> Self:
        """The axis that holds all rows."""
        first = min(rows, key=lambda row: row["start_time"])
        begin = first["start_time"] - timedelta(milliseconds=first["offset_ms"])
        return cls(begin, max(1e-3, *(row["offset_ms"] + row["duration_ms"] for row in rows)))

    def part(self, offset_ms: float) -> float:
        """Which part of the axis, 0 to 1, lies before a time."""
        return max(0.0, min(1.0, offset_ms / self.length_ms))

    def places(self, times: Iterable[datetime]) -> tuple[float, ...]:
        """The places of some times."""
        return tuple(self.part((time - self.begin).total_seconds() * 1000) for time in times)

    def ticks(self, width: int) -> list[float]:
        """Round offsets in milliseconds, as many as have room for their labels."""
        most = max(1, width // _LABEL)
        step = next((one for one in _STEPS if self.length_ms / one <= most), self.length_ms)
        return [number * step for number in range(int(self.length_ms / step) + 1)]


@dataclass(frozen=True, slots=True)
class AxisLabels:
    """The ticks of an axis, each label beginning at its place."""

    axis: Axis

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        line = ""
        for offset_ms in self.axis.ticks(width):
            label = f"│{tick(offset_ms)}"
            at = place(self.axis.part(offset_ms), width)
            if at >= len(line) and at + len(label) <= width:
                line = line.ljust(at) + label
        yield Text(line, "quiet", no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(10, options.max_width)
