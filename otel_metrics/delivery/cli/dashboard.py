"""Owns how the dashboard document looks in a terminal: headline tiles, stages, corrections, alerts."""

from dataclasses import dataclass
from typing import Any

from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from otel_metrics.delivery.cli.bars import WAIT, WORK, Share
from otel_metrics.delivery.cli.numbers import count, duration, hours_in_words, mean_of_five, percent, stars
from otel_metrics.delivery.cli.sheet import Column, Sheet
from otel_metrics.delivery.cli.text import clean, short_path
from otel_metrics.delivery.cli.words import alert_sentence, severity_style
from otel_metrics.model.vocabulary import ProcessingStage

Document = dict[str, Any]
_WIDE = 110
_MOST_ROWS = 12


@dataclass(frozen=True, slots=True)
class DashboardView:
    """The dashboard at whatever width there is; wide ones get more columns.

    Printed, the alerts stand last, where the eye is; on a screen that may be too low they come first.
    """

    document: Document
    database: object
    hours: float
    as_of: str
    alerts_first: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= _WIDE
        yield self._title(options.max_width)
        yield _tiles(self.document, options.max_width)
        if not self.document["processing_by_stage"] and not self.document["overview"]["total_corrections"]:
            yield Text(f"Nothing was recorded in the {hours_in_words(self.hours)}. --hours 720 looks back a month.")
            return
        if self.alerts_first:
            yield alert_lines(self.document["alerts"])
        yield _stages(self.document, wide=wide)
        yield Text("")
        yield _corrections(self.document["corrections"], wide=wide)
        if not self.alerts_first:
            yield alert_lines(self.document["alerts"])

    def _title(self, width: int) -> RenderableType:
        left = Text.assemble(("otel-metrics", "head"), (f"  {hours_in_words(self.hours)}", ""))
        room = width - left.cell_len - len(self.as_of) - 4
        right = Text(f"{short_path(self.database, max(8, room))}  {self.as_of}", "quiet")
        return _two_sides(left, right)


def _two_sides(left: RenderableType, right: RenderableType) -> Table:
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_row(left, right)
    return grid


def _tiles(document: Document, width: int) -> Table:
    overview, corrections = document["overview"], document["corrections"]
    rate = overview["overall_success_rate"]
    stages = sum(figures["count"] for figures in document["processing_by_stage"].values())
    failed = round(stages * (1 - rate / 100)) if stages else 0
    corrected = corrections.get("corrected_sessions")
    tiles = (
        ("Sessions", count(overview["total_requests"]), f"{count(stages)} stages", "work"),
        ("Stage success", percent(rate) if stages else "–", f"{count(failed)} failed", _rate_style(rate) or "good"),
        ("End to end", duration(overview["avg_total_processing_time_ms"] or None), "mean", "work"),
        (
            "Corrected",
            percent(corrections["rate"]) if overview["total_requests"] or overview["total_corrections"] else "–",
            f"{count(corrected)} of {count(corrections['sessions'])}" if corrected is not None else "of sessions",
            "warn" if any(alert["type"] == "high_correction_rate" for alert in document["alerts"]) else "work",
        ),
    )
    grid = Table.grid(expand=True)
    for _ in tiles:
        grid.add_column(ratio=1)
    grid.add_row(*(_tile(*tile, room=width // len(tiles) - 4) for tile in tiles))
    return grid


def _tile(name: str, value: str, beside: str, style: str, *, room: int) -> Panel:
    content = Text.assemble((value, style), no_wrap=True, overflow="ellipsis")
    content.stylize("bold")
    if len(value) + 2 + len(beside) <= room:
        content.append(f"  {beside}", "quiet")
    return Panel(content, title=Text(name, "not dim"), title_align="left", box=ROUNDED, border_style="quiet")


def _stages(document: Document, *, wide: bool) -> Sheet:
    stages: dict[str, Document] = document["processing_by_stage"]
    slow = {alert.get("stage") for alert in document["alerts"] if alert["type"] == "slow_processing"}
    figures_of = ("count", "mean", "p50", "p95", "p99", "ok", *(("in all", "share") if wide else ()))
    sheet = Sheet(
        [
            Column("Stage", least=12, most=40 if wide else 24),
            *(Column(name, right=True) for name in figures_of),
            Column(_legend(" " if wide else ""), fill=True, least=8),
        ]
    )
    whole = sum(_total_ms(figures) for figures in stages.values())
    for name, figures in stages.items():
        share = _total_ms(figures) / whole if whole else 0.0
        kind = "wait" if name == ProcessingStage.MODERATION_QUEUE else "work"
        mean = Text(duration(figures["avg_duration_ms"]), "mark" if name in slow else "")
        more = (duration(_total_ms(figures)), percent(share * 100)) if wide else ()
        sheet.add(
            Text(clean(name), "wait" if kind == "wait" else ""), count(figures["count"]), mean,
            *(duration(figures[key]) for key in ("p50_ms", "p95_ms", "p99_ms")), _rate(figures["success_rate"]), *more,
            Share(share, kind),
        )  # fmt: skip
    return sheet


def _total_ms(figures: Document) -> float:
    total: float = figures.get("total_ms") or (figures["count"] * (figures["avg_duration_ms"] or 0.0))
    return total


def _legend(gap: str) -> Text:
    return Text.assemble((WORK, "work.key"), f"{gap}work ", (WAIT, "wait.key"), f"{gap}wait")


def _rate(rate: float | None) -> Text:
    return Text(percent(rate), _rate_style(rate))


def _rate_style(rate: float | None) -> str:
    return "" if rate is None or rate >= 99 else "warn" if rate >= 95 else "bad"


def _corrections(corrections: Document, *, wide: bool) -> RenderableType:
    if not corrections["by_type"]:
        return Text("No corrections.", "quiet")
    grid = Table.grid(expand=True, padding=(0, 0, 0, 3))
    grid.add_column(ratio=1)
    grid.add_column(ratio=1)
    grid.add_row(_by_type(corrections["by_type"], wide=wide), _by_moderator(corrections["by_admin"], wide=wide))
    return grid


def _by_type(by_type: dict[str, Document], *, wide: bool) -> RenderableType:
    figures_of = ("count", *(("time", "edited") if wide else ()))
    sheet = Sheet(
        [
            Column("Corrections", least=10, most=32),
            *(Column(name, right=True) for name in figures_of),
            Column(fill=True, least=4),
        ]
    )
    most = max(figures["total_count"] for figures in by_type.values())
    for name, figures in list(by_type.items())[:_MOST_ROWS]:
        more = (duration(figures.get("avg_processing_time_ms")), edited(figures.get("avg_word_edit_rate")))
        share = Share(figures["total_count"] / most, most=30)
        sheet.add(Text(clean(name)), count(figures["total_count"]), *(more if wide else ()), share)
    return _with_rest(sheet, len(by_type), "types")


def _by_moderator(by_admin: dict[str, Document], *, wide: bool) -> RenderableType:
    figures_of = ("count", *(("rejected", "edited") if wide else ()), "time")
    sheet = Sheet(
        [
            Column("Moderator", least=9, most=21),
            *(Column(name, right=True) for name in figures_of),
            Column("satisfied" if wide else "★", right=True, style="mark"),
        ]
    )
    for name, figures in list(by_admin.items())[:_MOST_ROWS]:
        satisfaction = figures.get("avg_satisfaction")
        shown = mean_of_five(satisfaction)
        if wide and satisfaction is not None:
            shown = f"{stars(satisfaction)} {satisfaction:.1f}"
        more = (count(figures.get("rejections")), edited(figures.get("avg_word_edit_rate"))) if wide else ()
        sheet.add(
            Text(clean(name).removeprefix("admin_")), count(figures["total_corrections"]), *more,
            duration(figures.get("avg_processing_time_ms")), shown,
        )  # fmt: skip
    return _with_rest(sheet, len(by_admin), "moderators")


def _with_rest(table: Sheet, rows: int, what: str) -> RenderableType:
    if rows <= _MOST_ROWS:
        return table
    return Group(table, Text(f"and {rows - _MOST_ROWS} more {what} (--format json has all)", "quiet"))


def edited(word_edit_rate: float | None) -> str:
    """A word edit rate as a percentage."""
    return percent(None if word_edit_rate is None else 100 * word_edit_rate)


def alert_lines(alerts: list[Document]) -> RenderableType:
    """One sentence for each alert, or one that says that there is none."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    if not alerts:
        grid.add_row(Text("✓", "good"), "No alerts.")
    for alert in alerts:
        grid.add_row(Text("▲", severity_style(alert)), Text(clean(alert_sentence(alert))))
    return grid
