"""Owns the view Corrections: of what kind, by whom, for which model and prompt, how large, and whether they fall."""

from typing import TYPE_CHECKING, Any

from otel_metrics.delivery.cli.numbers import NONE, count, duration, mean_of_five, percent
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.charts import bars, chart, line
from otel_metrics.delivery.page.figures import Column, Tile, bar, sentences, table, tiles
from otel_metrics.delivery.page.markup import Child, Markup, tag
from otel_metrics.delivery.page.place import Place

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_MOST_ROWS = 100
_NONE_YET = "No corrections in this time."
_RATES = frozenset({"word_edit_rate", "character_edit_rate"})
_VERDICTS = {"better": "good", "worse": "bad"}


def corrections(feed: "Feed", place: Place) -> Cards:
    """By type, moderator, model, prompt version; edit size; trend with before and after."""
    found = feed.answers.corrections(place.hours)
    return [
        Card("corrections", "In short", _tiles(found), quiet=True),
        Card("findings", "What they say", sentences(found["sentences"])),
        _trend(found["days"]),
        _sizes(found["edit_buckets"]),
        Card("by-type", "By type", _by_type(found["by_type"])),
        Card("by-model", "By model", _groups("model", "model", found["by_model"]), span=6),
        Card("by-prompt", "By prompt version", _groups("prompt", "prompt_version", found["by_prompt_version"]), span=6),
        Card("by-intent", "By intent", _groups("intent", "intent", found["by_intent"]), span=6),
        Card("by-moderator", "By moderator", _by_moderator(found["by_admin"]), span=6),
        Card("before-and-after", "Before and after", _changes(found["effectiveness"])),
        Card("edit-size", "Size of edits", _edit_sizes(found["edit_size"])),
    ]


def _tiles(found: dict[str, Any]) -> Markup:
    total = sum(one["total_count"] for one in found["by_type"].values())
    size = next(
        (one for one in found["edit_size"] if one["correction_type"] == "all" and one["measure"] == "word_edit_rate"),
        None,
    )
    trend = found["trend_per_day_percent"]
    return tiles(
        [
            Tile("correction_rate", "Sessions corrected", percent(found["rate"]), f"{count(found['corrected_sessions'])} of {count(found['sessions'])}"),
            Tile("total_corrections", "Corrections and rejections", count(total), "in all"),
            Tile("edit_p50", "Half change at most", _rate(size and size["p50"]), "words for each word of the answer"),
            Tile("trend", "Trend", NONE if trend is None else f"{trend:+.2f}", found["trend"] if trend is None else f"points a day: {found['trend']}"),
        ]
    )  # fmt: skip


def _rate(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _trend(days: list[dict[str, Any]]) -> Card:
    names = [str(one["day"])[5:] for one in days]
    series = [
        line("corrected", [one["rate_percent"] for one in days], 0, area=True),
        line("at least (95 % sure)", [one["low_percent"] for one in days], 1),
        line("at most (95 % sure)", [one["high_percent"] for one in days], 2),
    ]
    summary = f"The share of sessions that were corrected, by day, {len(days)} days."
    return Card(
        "trend", "Share of sessions corrected, by day", chart=chart(names, series, "percent"), summary=summary, span=7
    )


def _sizes(buckets: list[dict[str, Any]]) -> Card:
    names, parts = [one["bucket"] for one in buckets], [one["part_percent"] for one in buckets]
    summary = "Corrections by how much they change: " + ", ".join(
        f"{one['bucket']} {percent(one['part_percent'])}" for one in buckets
    )
    return Card(
        "sizes",
        "How much is changed",
        chart=chart(names, [bars("corrections", parts, 1)], "percent"),
        summary=summary,
        span=5,
    )


def _by_type(by_type: dict[str, dict[str, Any]]) -> Markup:
    most = max((one["total_count"] for one in by_type.values()), default=1)
    columns = [
        Column("Type"), Column("Count", number=True), Column("as a bar", unseen=True), Column("Mean time", number=True), Column("Words edited", number=True),
        Column("Similarity", number=True), Column("Satisfaction", number=True),
    ]  # fmt: skip
    rows = [
        (
            name, count(one["total_count"]), bar(one["total_count"] / most), duration(one["avg_processing_time_ms"]),
            _rate(one["avg_word_edit_rate"]), _rate(one["avg_similarity"]), mean_of_five(one["avg_satisfaction"]),
        )
        for name, one in by_type.items()
    ]  # fmt: skip
    return table("by-type", "Corrections by type", columns, rows, _NONE_YET)


def _groups(name: str, key: str, groups: list[dict[str, Any]]) -> Markup:
    columns = [
        Column(name.capitalize()),
        Column("Sessions", number=True),
        Column("Corrected", number=True),
        Column("95 % sure", number=True),
        Column("as a bar", unseen=True),
    ]
    rows = [
        (
            NONE if one[key] is None else str(one[key]), count(one["sessions"]), percent(one["rate_percent"]),
            _between(one["low_percent"], one["high_percent"]), bar((one["rate_percent"] or 0) / 100),
        )
        for one in groups[:_MOST_ROWS]
    ]  # fmt: skip
    return table(f"by-{name}", f"Share of sessions corrected, by {name}", columns, rows, _NONE_YET)


def _between(low: float | None, high: float | None) -> str:
    return "too few" if low is None or high is None else f"{low:.0f} to {high:.0f}%"


def _by_moderator(by_admin: dict[str, dict[str, Any]]) -> Markup:
    columns = [
        Column("Moderator"), Column("Corrections", number=True), Column("Rejections", number=True), Column("Mean time", number=True),
        Column("Satisfaction", number=True),
    ]  # fmt: skip
    rows = [
        (
            name.removeprefix("admin_"), count(one["total_corrections"]), count(one["rejections"]), duration(one["avg_processing_time_ms"]),
            mean_of_five(one["avg_satisfaction"]),
        )
        for name, one in list(by_admin.items())[:_MOST_ROWS]
    ]  # fmt: skip
    return table("by-moderator", "Corrections by moderator", columns, rows, _NONE_YET)


def _changes(changes: list[dict[str, Any]]) -> Markup:
    columns = [
        Column("Change"), Column("Before", number=True), Column("After", number=True), Column("Difference", number=True),
        Column("95 % sure", number=True), Column("Verdict"),
    ]  # fmt: skip
    rows = [
        (
            f"{one['changed'].replace('_', ' ')}: {one['before']} → {one['after']}",
            _of(one["rate_before_percent"], one["sessions_before"]), _of(one["rate_after_percent"], one["sessions_after"]),
            _points(one["difference_percent"]), _span(one), _verdict(one["verdict"]),
        )
        for one in changes[:_MOST_ROWS]
    ]  # fmt: skip
    return table(
        "before-and-after",
        "Correction rates before and after a change",
        columns,
        rows,
        "No model or prompt version has changed in this time.",
    )


def _of(rate: float | None, sessions: int) -> str:
    return f"{percent(rate)} of {count(sessions)}"


def _points(value: float | None) -> str:
    return NONE if value is None else f"{value:+.1f} points"


def _span(one: dict[str, Any]) -> str:
    low, high = one["difference_low_percent"], one["difference_high_percent"]
    return NONE if low is None or high is None else f"{low:+.1f} to {high:+.1f}"


def _verdict(verdict: str) -> Child:
    return tag("span", verdict, class_=f"badge {_VERDICTS.get(verdict, 'quiet')}")


def _edit_sizes(sizes: list[dict[str, Any]]) -> Markup:
    columns = [
        Column("Type"), Column("Measure"), Column("Count", number=True), Column("p50", number=True), Column("p90", number=True),
        Column("Mean", number=True),
    ]  # fmt: skip
    rows = [
        (
            one["correction_type"],
            one["measure"].replace("_", " "),
            count(one["count"]),
            _rate(one["p50"]),
            _rate(one["p90"]),
            _rate(one["mean"]),
        )
        for one in sizes[:_MOST_ROWS]
        if one["measure"] in _RATES
    ]
    return table("edit-size", "How much corrections change, by type and measure", columns, rows, _NONE_YET)
