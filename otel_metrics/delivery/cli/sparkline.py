"""Owns sparklines: a row of numbers as a row of bars, the newest at the right."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from otel_metrics.delivery.cli.numbers import count, hours_in_words
from otel_metrics.delivery.cli.sheet import Column, Sheet

BARS = "▁▂▃▄▅▆▇█"
PIECES = 48
"""How many numbers a sparkline has: with its name and its figures it fits into 80 columns."""
_SHOWN = (("waiting", "wait"), ("begun", "work"), ("ended", "good"), ("failed", "bad"))


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Numbers from 0 to the largest of them; where the room is too narrow the oldest are left out. Zero is the quiet base line."""

    numbers: Sequence[float]
    style: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        line = Text(no_wrap=True)
        most = max(self.numbers, default=0)
        for number in self.numbers[-options.max_width :]:
            height = 0 if number <= 0 else max(1, round(number / most * (len(BARS) - 1)))
            line.append(BARS[height], self.style if height else "quiet")
        yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(8, min(max(8, len(self.numbers)), options.max_width))


def course_sheet(course: dict[str, list[int]], hours: float) -> Sheet:
    """The course of a window as sparklines: what waits, with the number now; what began, ended and failed, with the sum."""
    sheet = Sheet([Column(hours_in_words(hours)), Column(right=True), Column(fill=True, least=8)])
    for name, style in _SHOWN:
        numbers = course[name]
        if name == "failed" and not any(numbers):
            continue
        figure = numbers[-1] if name == "waiting" else sum(numbers)
        sheet.add(Text(name, style), count(figure), Sparkline(numbers, style))
    return sheet
