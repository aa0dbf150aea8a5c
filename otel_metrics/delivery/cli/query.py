"""Owns how the rows of any query look: a table where every column stays readable, else one block a row."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult
from rich.table import Table
from rich.text import Text

from otel_metrics.delivery.cli.dashboard import plain_table
from otel_metrics.delivery.cli.streams import json_value
from otel_metrics.delivery.cli.text import clean

_LEAST, _GAP = 10, 2
_MOST_IN_CELL = 2000


class QueryRows:
    """The answer to a query. Numbers stand to the right; only texts are cut, the widest first."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        self._columns = [clean(name) for name in columns]
        self._cells = [[cell_text(value) for value in row] for row in rows]
        self._numeric = [all(_is_number(row[place]) for row in rows) for place in range(len(columns))]
        self._whole = [all(not isinstance(row[place], str) for row in rows) for place in range(len(columns))]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = self._widths(options.max_width)
        if widths is None:
            yield from self._blocks()
        else:
            yield self._table(widths)

    def _widths(self, room: int) -> list[int] | None:
        """A width for each column, or None where they do not go beside each other."""
        texts = [
            [Text(name).cell_len, *(Text(row[place]).cell_len for row in self._cells)]
            for place, name in enumerate(self._columns)
        ]
        widths = [max(column) for column in texts]
        least = [
            width if whole else min(width, max(_LEAST, column[0]))
            for width, whole, column in zip(widths, self._whole, texts, strict=True)
        ]
        over = sum(widths) + _GAP * (len(widths) - 1) - room
        while over > 0:
            widest = max(range(len(widths)), key=lambda place: widths[place] - least[place])
            if widths[widest] <= least[widest]:
                return None
            widths[widest] -= 1
            over -= 1
        return widths

    def _table(self, widths: list[int]) -> Table:
        table = plain_table()
        table.expand = False
        for name, numeric, width in zip(self._columns, self._numeric, widths, strict=True):
            justify: JustifyMethod = "right" if numeric else "left"
            table.add_column(Text(name), justify=justify, no_wrap=True, overflow="ellipsis", width=width)
        for row in self._cells:
            table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
        return table

    def _blocks(self) -> RenderResult:
        for number, row in enumerate(self._cells, 1):
            yield Text(f"row {number}", "head")
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(no_wrap=True, overflow="ellipsis", style="quiet", max_width=30)
            grid.add_column(no_wrap=True, overflow="ellipsis")
            for name, cell in zip(self._columns, row, strict=True):
                grid.add_row(Text(f"  {name}"), Text(cell))
            yield grid


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def cell_text(value: object) -> str:
    """Any value on one line: NULL as nothing, numbers with ten digits, times with a space in the middle."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        text = value.isoformat(sep=" ", timespec="milliseconds" if value.microsecond else "seconds")
        return text.removesuffix("+00:00")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    return clean(str(json_value(value))[:_MOST_IN_CELL])
