"""Owns tables whose columns share the room: figures are never cut, texts give way, the longest first."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

_GAP = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `least` is how narrow it may become (None: it is never cut), `most` how wide; `fill` takes what is left."""

    title: str | Text = ""
    right: bool = False
    style: str = ""
    least: int | None = None
    most: int | None = None
    fill: bool = False


@dataclass(slots=True)
class Sheet:
    """Columns and rows. A cell that is no text is drawn in whatever width its column has."""

    columns: Sequence[Column]
    rows: list[Sequence[RenderableType]] = field(default_factory=list)
    heads: bool = True

    def add(self, *cells: RenderableType) -> None:
        """One more row."""
        self.rows.append(cells)

    def fits(self, room: int) -> bool:
        """Whether every column gets the width that it needs."""
        return sum(self._least(natural) for natural in self._naturals()) + _GAP * (len(self.columns) - 1) <= room

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(
            box=None, pad_edge=False, padding=(0, 1), header_style="quiet", show_edge=False, show_header=self.heads
        )
        for column, width in zip(self.columns, self._widths(options.max_width), strict=True):
            title = column.title if isinstance(column.title, Text) else Text(column.title)
            title.no_wrap, title.overflow = True, "ellipsis"
            table.add_column(
                title, justify="right" if column.right else "left", style=column.style, width=width, no_wrap=True,
                overflow="ellipsis",
            )  # fmt: skip
        for row in self.rows:
            table.add_row(*row)
        yield table

    def _widths(self, room: int) -> list[int]:
        naturals = self._naturals()
        widths = [natural for _, natural in naturals]
        least = [self._least(one) for one in naturals]
        spare = room - sum(widths) - _GAP * (len(widths) - 1)
        for place, column in enumerate(self.columns):
            if column.fill and spare > 0:
                widths[place] += spare
                spare = 0
        while spare < 0:
            place = max(range(len(widths)), key=lambda one: widths[one] - least[one])
            if widths[place] <= least[place]:
                break
            widths[place] -= 1
            spare += 1
        return widths

    def _naturals(self) -> list[tuple[Column, int]]:
        """Each column with the width of its longest text."""
        naturals = []
        for place, column in enumerate(self.columns):
            cells = [column.title] if self.heads else []
            width = max([1, *(_cells_wide(cell) for cell in (*cells, *(row[place] for row in self.rows)))])
            if column.fill:
                width = column.least or 1
            naturals.append((column, width if column.most is None else min(width, column.most)))
        return naturals

    @staticmethod
    def _least(one: tuple[Column, int]) -> int:
        column, natural = one
        return natural if column.least is None else min(natural, column.least)


def _cells_wide(cell: RenderableType) -> int:
    if isinstance(cell, Text):
        return cell.cell_len
    return Text(cell).cell_len if isinstance(cell, str) else 1
