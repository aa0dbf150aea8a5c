"""Owns how a question's document looks in a terminal: its sentences, its figures, its rows, each formed by the ending of its name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from otel_metrics.delivery.cli.numbers import NONE, count, duration, moment, percent
from otel_metrics.delivery.cli.sheet import Column, Sheet
from otel_metrics.delivery.cli.text import clean

_MOST_ROWS = 40
_LEAST_TEXT = 16
_SENTENCES = "sentences"


@dataclass(frozen=True, slots=True)
class SectionsView:
    """A document: sentences first, then figures in one block, then a table for each list of rows.

    A name's ending tells what a value is: `_ms` a duration, `_percent` a percentage, `_share` a part of one, `_cost`
    money; a time has its zone put on. `rate` is the dashboard's correction rate, in percent.
    """

    document: Mapping[str, Any]
    zone: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for sentence in self.document.get(_SENTENCES, ()):
            yield Text(clean(sentence))
        figures = [(name, value) for name, value in self.document.items() if _is_figure(value)]
        if figures:
            sheet = Sheet([Column(), Column(right=True)], heads=False)
            for name, value in figures:
                sheet.add(Text(_title(name), "quiet"), self._cell(name, value))
            yield Text("")
            yield sheet
        for name, value in self.document.items():
            if name != _SENTENCES and not _is_figure(value):
                yield from self._section(name, value, options.max_width)

    def _section(self, name: str, value: Any, room: int) -> RenderResult:
        rows = _as_rows(value)
        yield Text("")
        yield Text(_title(name).capitalize(), "head")
        if not rows:
            yield Text("nothing", "quiet")
            return
        first, *others = rows[0]
        names = [first, *(one for one in others if any(row.get(one) is not None for row in rows))]
        yield from self._sheets(names, rows, room)
        if len(rows) > _MOST_ROWS:
            yield Text(f"and {len(rows) - _MOST_ROWS} more (--format json has all)", "quiet")

    def _sheets(self, names: Sequence[str], rows: Sequence[Mapping[str, Any]], room: int) -> Iterator[Sheet]:
        """The rows as one table, or as several below each other where they are too wide: each begins with the first column."""
        taken = list(names[:1])
        for name in names[1:]:
            if len(taken) > 1 and not self._sheet([*taken, name], rows).fits(room):
                yield self._sheet(taken, rows)
                taken = list(names[:1])
            taken.append(name)
        yield self._sheet(taken, rows)

    def _sheet(self, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Sheet:
        sheet = Sheet([self._column(one, rows) for one in names])
        for row in rows[:_MOST_ROWS]:
            sheet.add(*(self._cell(one, row.get(one)) for one in names))
        return sheet

    def _column(self, name: str, rows: Sequence[Mapping[str, Any]]) -> Column:
        is_text = all(isinstance(row.get(name), str | None) for row in rows)
        return Column(
            _title(name), right=not is_text, least=_LEAST_TEXT if is_text else None, most=40 if is_text else None
        )

    def _cell(self, name: str, value: Any) -> RenderableType:
        return Text(clean(_shown(name, value, self.zone)))


def _shown(name: str, value: Any, zone: str) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return moment(value if value.tzinfo else value.replace(tzinfo=UTC), zone)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return ", ".join(_shown(name, one, zone) for one in value)
    if not isinstance(value, int | float):
        return str(value)
    if name.endswith("_ms"):
        return duration(value)
    if name.endswith("_percent") or name == "rate":
        return percent(value)
    if name.endswith("_share"):
        return percent(100 * value)
    if name.endswith("_id"):
        return str(value)
    if isinstance(value, int) or value.is_integer():
        return count(value)
    return f"{value:,.4f}" if name.endswith("cost") else f"{value:,.2f}"


def _is_figure(value: Any) -> bool:
    return not isinstance(value, list | dict)


def _as_rows(value: Any) -> list[dict[str, Any]]:
    """A list of rows as it is; an object of objects as rows that begin with their names; an object of values as pairs."""
    if isinstance(value, list):
        return [one if isinstance(one, dict) else {"": one} for one in value]
    if value and all(isinstance(one, dict) for one in value.values()):
        return [{"name": name, **one} for name, one in value.items()]
    return [{"name": name, "value": _shown(name, one, "UTC")} for name, one in value.items()]


def _title(name: str) -> str:
    for ending in ("_ms", "_percent", "_share"):
        name = name.removesuffix(ending)
    return name.replace("_", " ")
