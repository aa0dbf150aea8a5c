"""Owns the view Overview: the headline figures against the period before, times over time, and where the time goes."""

from typing import TYPE_CHECKING, Any

from otel_metrics.delivery.cli.numbers import count, duration, percent
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.figures import Column, Tile, bar, change_of, sentences, table, tiles
from otel_metrics.delivery.page.markup import Markup, join, tag
from otel_metrics.delivery.page.place import Place
from otel_metrics.delivery.page.views.series import end_to_end, throughput

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_BEFORE_S, _STAGES_S = 300.0, 60.0
_LEAST_SHARE = 0.002
_KINDS = {"working": "work", "waiting": "wait", "between": "rest"}


def overview(feed: "Feed", place: Place) -> Cards:
    """Tiles with change, end-to-end percentiles, stage breakdown, bottleneck."""
    found = feed.answers.overview(place.hours)
    course = found["over_time"]
    stages = feed.remembered("stages", place.hours, _STAGES_S, lambda: feed.answers.stages(place.hours))
    before = feed.remembered("before", place.hours, _BEFORE_S, lambda: feed.answers.figures_before(place.hours))
    zone = feed.settings.timezone
    return [
        Card("headline", "In short", _tiles(found, before, stages), quiet=True),
        end_to_end(course, place, zone, span=7),
        Card("breakdown", "Waiting against working", _breakdown(stages), span=5),
        Card("bottleneck", "Bottleneck", sentences(stages["sentences"]), span=12),
        Card("stages", "Stages", _stages(found["processing_by_stage"]), span=12),
        throughput(course, place, zone, span=12),
    ]


def _tiles(now: dict[str, Any], before: dict[str, Any], stages: dict[str, Any]) -> Markup:
    mine, past = now["overview"], before["overview"]
    had = past["total_requests"] > 0
    return tiles(
        [
            _tile("total_requests", "Sessions", mine, past, count, 0),
            _tile("avg_total_processing_time_ms", "Mean time end to end", mine, past, duration, -1),
            Tile("end_to_end_p95_ms", "95 % are done in", duration(stages["end_to_end_p95_ms"]), f"half in {duration(stages['end_to_end_p50_ms'])}"),
            _tile("overall_success_rate", "Stages that succeed", mine, past, percent, 1),
            Tile(
                "correction_rate", "Sessions corrected", percent(now["corrections"]["rate"]),
                _before(percent(before["corrections"]["rate"]) if had else None),
                change_of(now["corrections"]["rate"], before["corrections"]["rate"]) if had else None, -1,
            ),
            _tile("total_corrections", "Corrections", mine, past, count, 0),
        ]
    )  # fmt: skip


def _tile(name: str, title: str, now: dict[str, Any], before: dict[str, Any], said: Any, good: int) -> Tile:
    had = before["total_requests"] > 0
    value = now[name] if now["total_requests"] else None
    return Tile(
        name, title, said(value) if value is not None else said(0) if name.startswith("total") else "–",
        _before(said(before[name]) if had else None), change_of(value, before[name]) if had else None, good,
    )  # fmt: skip


def _before(value: str | None) -> str:
    return "nothing before" if value is None else f"before: {value}"


def _breakdown(stages: dict[str, Any]) -> Markup:
    parts = stages["end_to_end"]
    if not parts:
        return tag("p", "No stage has ended in this time.", class_="empty")
    strip = [
        tag(
            "span",
            class_=f"part {_KINDS.get(one['kind'], '')}",
            style=f"flex-grow:{max(one['time_share'] or 0, 0):.5f}",
        )
        for one in parts
        if (one["time_share"] or 0) >= _LEAST_SHARE
    ]
    keys = [
        tag(
            "li",
            tag("span", class_=f"key {tone}", aria_hidden="true"),
            f"{word} ",
            tag("strong", percent(_share(stages, word))),
        )
        for word, tone in _KINDS.items()
    ]
    columns = [
        Column("Stage"),
        Column("Time a session", number=True),
        Column("Share", number=True),
        Column("as a bar", unseen=True),
    ]
    rows = [
        (
            one["stage"], duration(one["mean_per_session_ms"]), percent(100 * (one["time_share"] or 0)),
            bar(one["time_share"], _KINDS.get(one["kind"], "")),
        )
        for one in parts
    ]  # fmt: skip
    return join(
        [
            tag("div", strip, class_="strip", aria_hidden="true"),
            tag("ul", keys, class_="keys"),
            table("breakdown", "How much of a session's time each stage has", columns, rows),
        ]
    )


def _share(stages: dict[str, Any], kind: str) -> float | None:
    share = stages[f"{kind}_share"]
    return None if share is None else 100 * float(share)


def _stages(by_stage: dict[str, dict[str, Any]]) -> Markup:
    columns = [
        Column("Stage"), Column("Count", number=True), Column("Mean", number=True), Column("p50", number=True),
        Column("p95", number=True), Column("p99", number=True), Column("Succeeded", number=True),
    ]  # fmt: skip
    rows = [
        (
            name, count(one["count"]), duration(one["avg_duration_ms"]), duration(one["p50_ms"]), duration(one["p95_ms"]),
            duration(one["p99_ms"]), percent(one["success_rate"]),
        )
        for name, one in by_stage.items()
    ]  # fmt: skip
    return table("stages", "Stages that ended in this time", columns, rows, "No stage has ended in this time.")
