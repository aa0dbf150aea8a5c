"""Owns the command `capacity` and how an hour-by-hour week looks in a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer
from otel_metrics.delivery.cli.sections import SectionsView
from otel_metrics.delivery.cli.sheet import Column, Sheet

_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_UNKNOWN, _NOTHING = "·", "-"
_TITLES = {"drafts_per_hour": "Drafts an hour", "needed": "Moderators needed"}


def capacity(
    database: Database = None,
    hours: Hours = 24,
    target_wait: Annotated[float, typer.Option(metavar="M", help="How long a draft may wait, in minutes.")] = 10.0,
    target_share: Annotated[float, typer.Option(metavar="S", help="The share of drafts that wait no longer, 0 to 1.")] = 0.8,
    weeks: Annotated[float, typer.Option(metavar="W", help="Weeks of history for the hours of the week.")] = 4.0,
    form: Printed = Form.TABLE,
) -> None:  # fmt: skip
    """Arrivals by hour of the week, and how many moderators a waiting time needs."""
    answer(database, form, lambda answers: answers.capacity(hours, target_wait, target_share, weeks), view=CapacityView)


@dataclass(frozen=True, slots=True)
class CapacityView:
    """The document as every question's, then the week as grids of 7 days and 24 hours."""

    document: Mapping[str, Any]
    zone: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield SectionsView({name: value for name, value in self.document.items() if name != "week"}, self.zone)
        for name, grid in self.document["week"].items():
            yield Text("")
            yield Text(f"{_TITLES[name]}, by hour of the week ({self.zone})", "head")
            yield from _sheets(grid, options.max_width)
        yield Text(f"{_NOTHING} none   {_UNKNOWN} not known", "quiet")


def _sheets(grid: Sequence[Sequence[float | None]], room: int) -> Iterator[Sheet]:
    """The whole day side by side where there is room for it, else its halves one below the other."""
    width = max(len(_cell(value)) for hours in grid for value in hours)
    width = max(2, width) + 1
    step = 24 if 4 + 24 * width <= room else 12
    for first in range(0, 24, step):
        places = range(first, first + step)
        sheet = Sheet([Column(), Column(Text("".join(f"{hour:>{width}}" for hour in places)))])
        for day, hours in zip(_DAYS, grid, strict=True):
            sheet.add(Text(day, "quiet"), Text("".join(f"{_cell(hours[hour]):>{width}}" for hour in places)))
        yield sheet


def _cell(value: float | None) -> str:
    """A number in two characters where it can be: .4, 2, 31; above 999 in thousands."""
    if value is None:
        return _UNKNOWN
    if value == 0:
        return _NOTHING
    if value < 0.95:
        return f".{max(1, round(value * 10))}"
    return f"{value:.0f}" if value < 999.5 else f"{value / 1000:.0f}k"
