"""Owns how lists look in a terminal: sessions, the queue, checks, and the rows of any query."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from otel_metrics.delivery.cli.dashboard import plain_table
from otel_metrics.delivery.cli.numbers import count, duration, moment
from otel_metrics.delivery.cli.streams import json_value
from otel_metrics.delivery.cli.text import clean, short_ids
from otel_metrics.delivery.cli.words import state_of

Record = dict[str, Any]
_WIDE = 110
_ID, _ID_WIDE = 14, 36
_MOST_IN_CELL = 2000


def sessions_table(sessions: list[Record], zone: str, *, width: int) -> Table:
    """Sessions, one a line, newest first."""
    wide = width >= _WIDE
    ids = short_ids((one["session_id"] for one in sessions), least=_ID - 1, most=_ID_WIDE if wide else 20)
    table = plain_table()
    table.add_column("Session", no_wrap=True, overflow="ellipsis")
    table.add_column(f"started ({zone})" if wide else "started", no_wrap=True)
    table.add_column("user", justify="right", no_wrap=True, overflow="ellipsis", max_width=20 if wide else 10)
    table.add_column("state", no_wrap=True, overflow="ellipsis", ratio=1)
    for name in ("took", "stages", "corrected"):
        table.add_column(name if wide or name == "took" else {"stages": "st.", "corrected": "◆"}[name], justify="right", no_wrap=True)
    for one in sessions:
        sign, word, style = state_of(one)
        stages = Text(count(one["stages"]))
        if one["failed_stages"]:
            stages = Text.assemble((f"✗{one['failed_stages']} ", "bad"), stages)
        table.add_row(
            Text(ids[one["session_id"]]), moment(one["started_at"], zone), Text(str(one["user_id"])),
            Text(f"{sign} {clean(word)}", style), duration(one["duration_ms"]), stages,
            Text("◆" * min(3, one["corrections"]) if wide else str(one["corrections"] or ""), "mark"),
        )  # fmt: skip
    return table


def queue_tables(queue: Record, zone: str, *, width: int) -> list[RenderableType]:
    """What waits, oldest first, and what runs."""
    wide = width >= _WIDE
    rows = [*queue["waiting"], *queue["running"]]
    ids = short_ids((one["session_id"] for one in rows), least=_ID - 1, most=_ID_WIDE if wide else 20)
    shown: list[RenderableType] = [_waiting(queue["waiting"], ids, zone), _running(queue["running"], ids, zone)]
    if queue["waiting"] and queue["running"]:
        shown.insert(1, Text(""))
    return shown


def _waiting(rows: list[Record], ids: dict[str, str], zone: str) -> RenderableType:
    if not rows:
        return Text("Nothing is waiting for a moderator.")
    table = plain_table()
    table.add_column(f"{len(rows)} waiting", no_wrap=True, overflow="ellipsis")
    table.add_column("for", justify="right", no_wrap=True, style="wait")
    table.add_column(f"since ({zone})", no_wrap=True, overflow="ellipsis")
    table.add_column("user", justify="right", no_wrap=True, overflow="ellipsis")
    table.add_column("chat", justify="right", no_wrap=True, overflow="ellipsis", ratio=1)
    for one in rows:
        table.add_row(
            Text(ids[one["session_id"]]), duration(one["age_ms"]), moment(one["waiting_since"], zone),
            Text(str(one["user_id"])), Text(str(one["chat_id"])),
        )  # fmt: skip
    return table


def _running(rows: list[Record], ids: dict[str, str], zone: str) -> RenderableType:
    if not rows:
        return Text("Nothing is running.")
    table = plain_table()
    table.add_column(f"{len(rows)} running", no_wrap=True, overflow="ellipsis")
    table.add_column("for", justify="right", no_wrap=True, style="work")
    table.add_column(f"since ({zone})", no_wrap=True, overflow="ellipsis")
    table.add_column("stage", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("state", no_wrap=True)
    for one in rows:
        style = "bad" if one["state"] == "interrupted" else "good"
        table.add_row(
            Text(ids[one["session_id"]]), duration(one["age_ms"]), moment(one["started_at"], zone),
            Text(clean(one["stage"])), Text(clean(one["state"]), style),
        )  # fmt: skip
    return table


class QueryRows:
    """Rows of any shape: as a table where every column gets a readable width, else one block a row."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        self._columns = [clean(name) for name in columns]
        self._rows = [[cell_text(value) for value in row] for row in rows]
        self._right = [
            all(isinstance(row[place], int | float) and not isinstance(row[place], bool) or row[place] is None for row in rows)
            for place in range(len(columns))
        ]  # fmt: skip

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [
            max([len(name), *(min(len(row[place]), 24) for row in self._rows)])
            for place, name in enumerate(self._columns)
        ]
        least = [width if right else min(width, 10) for width, right in zip(widths, self._right, strict=True)]
        if sum(least) + 2 * (len(least) - 1) <= options.max_width:
            yield self._table(least)
        else:
            yield from self._blocks()

    def _table(self, least: list[int]) -> Table:
        table = plain_table()
        table.expand = False
        for name, right, width in zip(self._columns, self._right, least, strict=True):
            justify = "right" if right else "left"
            table.add_column(Text(name), justify=justify, no_wrap=True, overflow="ellipsis", min_width=width)  # type: ignore[arg-type]
        for row in self._rows:
            table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
        return table

    def _blocks(self) -> RenderResult:
        for number, row in enumerate(self._rows, 1):
            yield Text(f"row {number}", "head")
            grid = Table.grid(padding=(0, 2, 0, 0))
            grid.add_column(no_wrap=True, overflow="ellipsis", style="quiet", max_width=28)
            grid.add_column(no_wrap=True, overflow="ellipsis")
            for name, cell in zip(self._columns, row, strict=True):
                grid.add_row(Text(f"  {name}"), Text(cell))
            yield grid


def cell_text(value: object) -> str:
    """Any value on one line: NULL as nothing, times as in JSON but readable."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds" if value.microsecond else "seconds").removesuffix("+00:00")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    plain = json_value(value)
    return clean(str(plain)[:_MOST_IN_CELL])


def checks_table(checks: Sequence[Any]) -> Table:
    """What `doctor` looked at, with a remedy under what is wrong."""
    table = plain_table()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for check in checks:
        sign, style = ("·", "quiet") if check.ok is None else ("✓", "good") if check.ok else ("✗", "bad")
        table.add_row(Text(sign, style), Text(clean(check.name)), Text(clean(check.found)))
        if check.ok is False and check.remedy:
            table.add_row("", "", Text(f"→ {clean(check.remedy)}", "warn"))
    return table
