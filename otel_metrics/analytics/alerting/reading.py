"""Owns what a rule finds at a moment: one reading for each set of labels, with the figures that it rests on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.document import Record, rows
from otel_metrics.analytics.window import Window
from otel_metrics.settings import Settings


@dataclass(frozen=True, slots=True)
class Reading:
    """What one rule says of one set of labels. `value` is None below the least number of samples (`enough` is False)."""

    labels: dict[str, str]
    value: float | None
    threshold: float
    unit: str
    """`ms`, `percent`, `count`, `cost`, `times`, `z` or `number`: what value and threshold are in."""
    samples: int
    enough: bool
    breached: bool
    message: str
    """One sentence with the value, the limit and what it rests on; true of a reading that is not breached too."""
    figures: Record = field(default_factory=dict)


FIRST_TIME = datetime.fromisoformat("0001-01-01")  # no zone: DuckDB's TIMESTAMP has none
CostRow = tuple[str, int, float | None]
"""A currency, empty where none was said; how many stages have a cost in it; their cost."""


@dataclass(frozen=True, slots=True)
class Look:
    """A look at the store as of a moment, UTC without a zone. `cost` may be another than the recorded one, such as a priced one."""

    engine: Asking
    settings: Settings
    now: datetime
    cost: "Callable[[Look, Window, str | None], list[CostRow]]"

    def window(self, seconds: float, until: datetime | None = None) -> Window:
        """The last so many seconds, up to now or another moment."""
        until = until or self.now
        return Window(earlier(until, seconds), until)

    def rows(self, query: str, **parameters: Any) -> list[Record]:
        """The rows of a query of this package."""
        return rows(self.engine, query, **parameters)

    def row(self, query: str, **parameters: Any) -> Record:
        """The one row of a query that always gives one."""
        (only,) = self.rows(query, **parameters)
        return only


def earlier(moment: datetime, seconds: float) -> datetime:
    """So many seconds before a moment, but not before there were times."""
    try:
        return moment - timedelta(seconds=seconds)
    except OverflowError:
        return FIRST_TIME


def too_few(labels: dict[str, str], threshold: float, unit: str, samples: int, least: int, of: str) -> Reading:
    """A reading that is no judgement, for want of samples."""
    message = f"Not enough to judge: {samples:,} {of}, at least {least:,} are needed."
    return Reading(labels, None, threshold, unit, samples, enough=False, breached=False, message=message)


def number(value: float) -> str:
    """A number with its thousands apart and at most two places."""
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value != int(value) else f"{value:,.0f}"
