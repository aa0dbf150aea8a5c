"""Owns the view Capacity: drafts by hour of the week as a heat map, and how many moderators a waiting time needs."""

from typing import TYPE_CHECKING, Any

from otel_metrics.delivery.cli.numbers import NONE, count, duration, percent, tick
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.figures import Column, Tile, sentences, table, tiles
from otel_metrics.delivery.page.markup import Markup, join, tag
from otel_metrics.delivery.page.place import Place

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def capacity(feed: "Feed", place: Place) -> Cards:
    """Heat map hour by weekday, moderators needed."""
    found = feed.answers.capacity(place.hours)
    drafts, needed = found["week"]["drafts_per_hour"], found["week"]["needed"]
    zone = feed.settings.timezone
    weeks = (
        f"Of the last {found['weeks_covered']:.1f} weeks that the store covers, in {zone}."
        if found["weeks_covered"]
        else ""
    )
    return [
        Card("capacity", "In short", _tiles(found), quiet=True),
        Card("findings", "What they say", sentences(found["sentences"])),
        Card(
            "arrivals",
            "Drafts an hour",
            _heat("arrivals", "Drafts that arrive at moderation in an hour, by weekday and hour", drafts, weeks),
        ),
        Card(
            "needed",
            "Moderators needed",
            _heat("needed", "Moderators needed for the target, by weekday and hour", needed, _target(found)),
        ),
        Card("busiest", "Busiest hours", _busiest(found["busiest"])),
    ]


def _tiles(found: dict[str, Any]) -> Markup:
    share = found["in_time_share"]
    return tiles(
        [
            Tile("waiting", "Waiting now", count(found["waiting"]), f"longest {duration(found['waiting_max_ms'])}"),
            Tile("in_time", f"Picked up in {tick(found['target_wait_ms'])}", percent(None if share is None else 100 * share), f"the target is {percent(100 * found['target_share'])}"),
            Tile("wait_p50", "Half wait at most", duration(found["wait_p50_ms"]), f"nine of ten {duration(found['wait_p90_ms'])}"),
            Tile("handling", "Time for one draft", duration(found["handling_mean_ms"]), f"nine of ten {duration(found['handling_p90_ms'])}"),
            Tile("peak", "Busiest hour", found["peak_hour"] or NONE, _peak(found)),
        ]
    )  # fmt: skip


def _peak(found: dict[str, Any]) -> str:
    if found["peak_drafts_per_hour"] is None:
        return ""
    needed = found["peak_moderators_needed"]
    people = "" if needed is None else f", {count(needed)} moderator{'' if needed == 1 else 's'} needed"
    return f"{found['peak_drafts_per_hour']:.1f} drafts{people}"


def _target(found: dict[str, Any]) -> str:
    if not found["enough"]:
        return "There are too few reviews to plan people by."
    return f"So that {percent(100 * found['target_share'])} wait at most {tick(found['target_wait_ms'])}."


def _heat(name: str, caption: str, week: list[list[float | None]], note: str) -> Markup:
    most = max((value for day in week for value in day if value is not None), default=0.0)
    heads = tag(
        "tr",
        tag("th", tag("span", "Day", class_="unseen"), scope="col"),
        [tag("th", f"{hour:02d}", scope="col") for hour in range(24)],
    )
    rows = [
        tag("tr", tag("th", day, scope="row"), [_heat_cell(value, most) for value in values])
        for day, values in zip(_DAYS, week, strict=True)
    ]
    whole = tag(
        "table",
        tag("caption", caption, class_="unseen"),
        tag("thead", heads),
        tag("tbody", rows),
        class_="heat",
        id=f"heat-{name}",
    )
    return join(
        [
            tag("div", whole, class_="scrolled", tabindex=0, role="region", aria_label=caption),
            tag("p", note, class_="empty") if note else None,
        ]
    )


def _heat_cell(value: float | None, most: float) -> Markup:
    if value is None:
        return tag("td", "·", class_="none")
    part = value / most if most else 0.0
    text = f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
    return tag("td", text, class_="strong" if part > 0.5 else None, style=f"--heat:{100 * part:.0f}%")


def _busiest(rows: list[dict[str, Any]]) -> Markup:
    columns = [
        Column("Hour"), Column("Drafts an hour", number=True), Column("In time", number=True), Column("Moderators seen", number=True),
        Column("Needed", number=True), Column("Load (erlangs)", number=True),
    ]  # fmt: skip
    shown = [
        (
            one["hour"], _one_digit(one["drafts_per_hour"]), percent(None if one["in_time_share"] is None else 100 * one["in_time_share"]),
            _one_digit(one["present"]), count(one["needed"]), _one_digit(one["load_erlangs"]),
        )
        for one in rows
    ]  # fmt: skip
    return table("busiest", "The busiest hours of the week", columns, shown, "No drafts in this time.")


def _one_digit(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"
