"""Owns how lists look in a terminal: sessions, the queue, and what `doctor` looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from otel_metrics.delivery.cli.numbers import count, duration, moment
from otel_metrics.delivery.cli.sheet import Column, Sheet
from otel_metrics.delivery.cli.text import clean, short_ids
from otel_metrics.delivery.cli.words import state_of, took_ms
from otel_metrics.store.health import Check

Record = dict[str, Any]
_WIDE = 110
_ID, _ID_MOST, _ID_MOST_WIDE = 13, 20, 36


@dataclass(frozen=True, slots=True)
class SessionsView:
    """Sessions, one a line, newest first. `waiting` are the ids of those that wait for a moderator."""

    sessions: list[Record]
    waiting: set[str]
    zone: str
    now: datetime

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= _WIDE
        ids = _ids(self.sessions, wide=wide)
        sheet = Sheet(
            [
                Column("Session"),
                Column(f"started ({self.zone})" if wide else "started"),
                Column("user", right=True, least=6),
                *((Column("chat", right=True, least=6),) if wide else ()),
                Column("state", least=11),
                Column("took", right=True),
                Column("stages" if wide else "st.", right=True),
                Column("corrected" if wide else "◆", style="mark"),
            ]
        )
        for one in self.sessions:
            sign, word, style = state_of(one, is_waiting=one["session_id"] in self.waiting)
            failed = (f"✗{one['failed_stages']} ", "bad") if one["failed_stages"] else ""
            sheet.add(
                Text(ids[one["session_id"]]), moment(one["started_at"], self.zone), Text(str(one["user_id"])),
                *((Text(str(one["chat_id"])),) if wide else ()), Text(f"{sign} {clean(word)}", style),
                f"{duration(took_ms(one, self.now))}{'' if one['outcome'] else '…'}",
                Text.assemble(failed, count(one["stages"])), "◆" * min(3, one["corrections"]),
            )  # fmt: skip
        yield sheet


@dataclass(frozen=True, slots=True)
class QueueView:
    """What waits, oldest first, and what runs."""

    queue: Record
    zone: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ids = _ids([*self.queue["waiting"], *self.queue["running"]], wide=options.max_width >= _WIDE)
        yield self._waiting(ids)
        if self.queue["waiting"] and self.queue["running"]:
            yield Text("")
        yield self._running(ids)

    def _waiting(self, ids: dict[str, str]) -> RenderableType:
        rows = self.queue["waiting"]
        if not rows:
            return Text("Nothing is waiting for a moderator.")
        sheet = self._sheet("waiting", rows, Column("user", right=True, least=6), Column("chat", right=True, least=6))
        for one in rows:
            sheet.add(
                Text(ids[one["session_id"]]), Text(duration(one["age_ms"]), "wait"), moment(one["waiting_since"], self.zone),
                Text(str(one["user_id"])), Text(str(one["chat_id"])),
            )  # fmt: skip
        return sheet

    def _running(self, ids: dict[str, str]) -> RenderableType:
        rows = self.queue["running"]
        if not rows:
            return Text("Nothing is running.")
        sheet = self._sheet("running", rows, Column("stage", least=12), Column())
        for one in rows:
            state = Text("interrupted", "bad") if one["state"] == "interrupted" else Text("")
            sheet.add(
                Text(ids[one["session_id"]]), Text(duration(one["age_ms"]), "work"), moment(one["started_at"], self.zone),
                Text(clean(one["stage"])), state,
            )  # fmt: skip
        if any(one["state"] == "interrupted" for one in rows):
            why = "interrupted: the process that began it is gone, it will not end by itself"
            return Group(sheet, Text(why, "quiet"))
        return sheet

    def _sheet(self, what: str, rows: list[Record], *more: Column) -> Sheet:
        first = Column(f"{count(len(rows))} {what}")
        return Sheet([first, Column("for", right=True), Column(f"since ({self.zone})", least=11), *more])


def _ids(rows: list[Record], *, wide: bool) -> dict[str, str]:
    return short_ids((one["session_id"] for one in rows), least=_ID, most=_ID_MOST_WIDE if wide else _ID_MOST)


def checks_table(checks: Sequence[Check]) -> Table:
    """What `doctor` looked at, with a remedy under what is wrong."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1))
    for _ in ("sign", "name"):
        table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for check in checks:
        sign, style = ("·", "quiet") if check.ok is None else ("✓", "good") if check.ok else ("✗", "bad")
        table.add_row(Text(sign, style), Text(clean(check.name)), Text(clean(check.found)))
        if check.ok is False and check.remedy:
            table.add_row("", "", Text(f"→ {clean(check.remedy)}", "warn"))
    return table
