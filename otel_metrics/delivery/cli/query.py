"""Owns how the rows of any query look: a table where every column stays readable, else one block a row."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from otel_metrics.delivery.cli.sheet import Column, Sheet
from otel_metrics.delivery.cli.streams import json_value
from otel_metrics.delivery.cli.text import clean

_LEAST, _MOST_NAME = 10, 30
_MOST_IN_CELL = 2000


class QueryRows:
    """The answer to a query. Numbers stand to the right; only texts are cut, the longest first."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        self._names = [clean(name) for name in columns]
        self._cells = [[cell_text(value) for value in row] for row in rows]
        values = [[row[place] for row in rows] for place in range(len(columns))]
        self._sheet = Sheet(
            [
                Column(
                    name, right=all(_is_number(value) for value in column),
                    least=max(_LEAST, len(name)) if any(isinstance(value, str | list | dict) for value in column) else None,
                )
                for name, column in zip(self._names, values, strict=True)
            ],
            [[Text(cell) for cell in row] for row in self._cells],
        )  # fmt: skip

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._sheet.fits(options.max_width):
            yield self._sheet
            return
        names = Column(style="quiet", most=_MOST_NAME)
        for number, row in enumerate(self._cells, 1):
            yield Text(f"row {number}", "head")
            yield Sheet(
                [Column(), names, Column(least=_LEAST)],
                [["", Text(name), Text(cell)] for name, cell in zip(self._names, row, strict=True)],
                heads=False,
            )


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
