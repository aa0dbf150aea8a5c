"""Owns the view Moderators: what each does, how long it takes, and how far it can be relied on."""

from typing import TYPE_CHECKING, Any

from otel_metrics.delivery.cli.numbers import NONE, count, duration, mean_of_five, percent
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.charts import bars, chart
from otel_metrics.delivery.page.figures import Column, Tile, sentences, table, tiles
from otel_metrics.delivery.page.markup import Child, Markup, tag
from otel_metrics.delivery.page.place import Place

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_MOST_ROWS = 100
_MOST_BARS = 20


def moderators(feed: "Feed", place: Place) -> Cards:
    """Volume, time, satisfaction, rubber stamps, agreement."""
    found = feed.answers.moderators(place.hours)
    rows = found["moderators"]
    return [
        Card("moderators", "In short", _tiles(found), quiet=True),
        Card("findings", "What they say", sentences(found["sentences"])),
        _decisions(rows),
        Card("by-moderator", "Each moderator", _each(rows)),
        Card("rubber-stamps", "Approved faster than it can be read", _stamps(found["rubber_stamps"]), span=7),
        Card("agreement", "Agreement", _agreement(found["agreement"]), span=5),
    ]


def _tiles(found: dict[str, Any]) -> Markup:
    flagged = sum(1 for one in found["rubber_stamps"] if one["flagged"])
    return tiles(
        [
            Tile("reviews", "Reviews", count(found["reviews"]), f"{count(found['reviews_without_moderator'])} without a moderator's id"),
            Tile("moderators", "Moderators", count(len(found["moderators"])), "who reviewed"),
            Tile("active", "Review time", duration(found["active_ms"]), "all together"),
            Tile("flagged", "Flagged", count(flagged), "approve faster than they can read", tone="bad" if flagged else ""),
        ]
    )  # fmt: skip


def _decisions(rows: list[dict[str, Any]]) -> Card:
    shown = rows[:_MOST_BARS]
    names = [str(one["moderator_id"]) for one in shown]
    series = [
        bars(word, [one[word] for one in shown], place, "decisions")
        for place, word in enumerate(("approvals", "corrections", "rejections", "undecided"))
    ]
    summary = "Decisions of each moderator: " + "; ".join(
        f"{one['moderator_id']}: {one['approvals']} approvals, {one['corrections']} corrections, {one['rejections']} rejections"
        for one in shown
    )
    height = 90 + 34 * max(1, len(shown))
    return Card("decisions", "Decisions", chart=chart(names, series, sideways=True), summary=summary, height_px=height)


def _each(rows: list[dict[str, Any]]) -> Markup:
    columns = [
        Column("Moderator"), Column("Reviews", number=True), Column("Approved", number=True), Column("Corrected", number=True),
        Column("Rejected", number=True), Column("Corrects (95 % sure)", number=True), Column("Review p50", number=True),
        Column("p90", number=True), Column("Time", number=True), Column("Satisfaction", number=True),
    ]  # fmt: skip
    shown = [
        (
            str(one["moderator_id"]), count(one["reviews"]), count(one["approvals"]), count(one["corrections"]), count(one["rejections"]),
            _share(one), duration(one["review_p50_ms"]), duration(one["review_p90_ms"]), duration(one["active_ms"]),
            mean_of_five(one["satisfaction"]),
        )
        for one in rows[:_MOST_ROWS]
    ]  # fmt: skip
    return table("by-moderator", "What each moderator did", columns, shown, "No reviews in this time.")


def _share(one: dict[str, Any]) -> str:
    share, low, high = one["correction_share"], one["correction_low_share"], one["correction_high_share"]
    if share is None:
        return "too few"
    return percent(100 * share) if low is None else f"{percent(100 * share)} ({100 * low:.0f} to {100 * high:.0f})"


def _stamps(rows: list[dict[str, Any]]) -> Markup:
    columns = [
        Column("Moderator"),
        Column("Approvals", number=True),
        Column("Too fast", number=True),
        Column("Share", number=True),
        Column("What of it", unseen=True),
    ]
    shown = [
        (
            str(one["moderator_id"]), count(one["approvals"]), count(one["faster_than_reading"]),
            NONE if one["too_fast_share"] is None else percent(100 * one["too_fast_share"]), _flag(one),
        )
        for one in rows[:_MOST_ROWS]
    ]  # fmt: skip
    return table(
        "rubber-stamps",
        "Approvals that took less time than reading the draft",
        columns,
        shown,
        "No approvals in this time.",
    )


def _flag(one: dict[str, Any]) -> Child:
    if one["flagged"] is None:
        return tag("span", "too few to tell", class_="badge quiet")
    return (
        tag("span", "look closer", class_="badge bad") if one["flagged"] else tag("span", "fine", class_="badge good")
    )


def _agreement(rows: list[dict[str, Any]]) -> Markup:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [Column(name.replace("_", " "), number=place > 0) for place, name in enumerate(names)]
    shown = [[_plain(name, row.get(name)) for name in names] for row in rows[:_MOST_ROWS]]
    return table(
        "agreement", "How often two moderators decide alike", columns, shown, "No item was decided by two moderators."
    )


def _plain(name: str, value: Any) -> str:
    if value is None:
        return NONE
    if name.endswith("_share"):
        return percent(100 * value)
    return f"{value:.2f}" if isinstance(value, float) else str(value)
