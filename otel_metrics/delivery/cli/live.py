"""Owns the views that stay: the whole screen, drawn anew every two seconds until Ctrl-C."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.text import Text

from otel_metrics.analytics.clickhouse.address import asked_place
from otel_metrics.delivery.cli.dashboard import DashboardView
from otel_metrics.delivery.cli.desk import Desk, is_there
from otel_metrics.delivery.cli.numbers import moment
from otel_metrics.delivery.cli.rows import QueueView
from otel_metrics.delivery.cli.sparkline import PIECES, course_sheet
from otel_metrics.delivery.cli.streams import output_console
from otel_metrics.delivery.cli.text import short_path
from otel_metrics.errors import SettingError, StoreError

_EVERY_S = 2.0
_QUEUE_HOURS = 1.0


def dashboard_view(desk: Desk, document: dict[str, Any], hours: float, *, stays: bool = False) -> DashboardView:
    """The dashboard with its place and its time."""
    zone = desk.settings.timezone
    as_of = f"{moment(datetime.now(UTC), zone, seconds=stays)} {zone}"
    return DashboardView(document, asked_place(desk.settings), hours, as_of, alerts_first=stays)


def follow_dashboard(desk: Desk, hours: float) -> None:
    """Shows the dashboard, with the course of its hours below, and keeps it up to date."""

    def frame() -> RenderableType:
        figures, course = desk.answers.figures(hours), desk.answers.course(hours, PIECES)
        view = dashboard_view(desk, figures, hours, stays=True)
        return Group(view, Text(""), course_sheet(course, hours)) if figures["processing_by_stage"] else view

    _follow(desk, frame)


def follow_queue(desk: Desk) -> None:
    """Shows the queue below the course of the last hour, and keeps it up to date."""
    zone = desk.settings.timezone

    def frame() -> RenderableType:
        place = short_path(desk.settings.database, 40)
        head = Text.assemble(
            ("Queue", "head"), (f"  {place}  {moment(datetime.now(UTC), zone, seconds=True)} {zone}", "quiet")
        )
        course = course_sheet(desk.answers.course(_QUEUE_HOURS, PIECES), _QUEUE_HOURS)
        return Group(head, course, Text(""), QueueView(desk.answers.queue(), zone))

    _follow(desk, frame)


def _follow(desk: Desk, frame: Callable[[], RenderableType]) -> None:
    console = output_console()
    if not console.is_terminal:
        raise SettingError("--watch writes to a pipe or file", "a terminal", "leave --watch out, or use --format json")
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(_Screen(_now(desk, frame)), refresh=True)
                time.sleep(_EVERY_S)
    except KeyboardInterrupt:
        return


def _now(desk: Desk, frame: Callable[[], RenderableType]) -> RenderableType:
    """What is to be seen now. Where another process is draining, the next frame has its rows."""
    desk.exists = desk.exists or is_there(desk.storage)
    if not desk.exists:
        return Group(Text(desk.absent()), Text("Waiting for it. Ctrl-C ends this.", "quiet"))
    with suppress(StoreError, OSError):  # the reading below tells what is wrong, if anything is
        desk.storage.drain()
    return frame()


class _Screen:
    """Cuts what is higher than the window and says so in its last line."""

    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._content, options.update(height=None), pad=False)
        height = console.height
        if len(lines) > height:
            hidden = len(lines) - height + 1
            last = Text(f"… {hidden} more lines in a higher window", "quiet")
            lines = [*lines[: height - 1], console.render_lines(last, options, pad=False)[0]]
        for number, line in enumerate(lines):
            if number:
                yield Text("")
            yield from line
