"""Owns one session on the page: its facts, its waterfall with events, its corrections and its logs."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from otel_metrics.delivery.cli.numbers import NONE, count, duration, mean_of_five
from otel_metrics.delivery.cli.words import state_of, took_ms
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.figures import Column, Tile, at, link, table, tiles
from otel_metrics.delivery.page.markup import Child, Markup, join, tag
from otel_metrics.delivery.page.place import Place

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_MOST_ROWS = 200
_WAITS = frozenset({"moderation_queue"})
_MOST_TEXT = 300


def session(feed: "Feed", place: Place) -> Cards:
    """One session as a waterfall with events and logs."""
    found = feed.answers.session(place.wishes["id"].rstrip("…"))
    zone = feed.settings.timezone
    facts = found["session"]
    return [
        Card("session", "Session", _head(found, feed.settings.trace_url, place), quiet=True),
        Card("facts", "In short", _tiles(facts, zone), quiet=True),
        Card("waterfall", "Stages", _waterfall(found, zone)),
        Card("corrections", "Corrections", _corrections(found["corrections"], zone)),
        Card("logs", "Log", _logs(found["logs"], zone), span=7),
        Card("metadata", "Metadata", _metadata(facts["metadata"]), span=5),
    ]


def _head(found: dict[str, Any], trace_url: str | None, place: Place) -> Markup:
    session_id = found["session"]["session_id"]
    seen = None
    if trace_url:
        href = trace_url.replace("{trace_id}", found["trace_id"])
        seen = tag(
            "a",
            "Open the trace ↗",
            href=href,
            target="_blank",
            rel="noopener noreferrer",
            class_="button",
            id="trace-link",
        )
    return tag(
        "div", link("← Sessions", place.at("sessions")), tag("code", session_id, id="session-id"),
        tag("button", "Copy the id", type="button", data_copy=session_id), seen, class_="line",
    )  # fmt: skip


def _tiles(facts: dict[str, Any], zone: str) -> Markup:
    sign, word, _ = state_of(facts)
    return tiles(
        [
            Tile("state", "State", f"{sign} {word}"),
            Tile("took", "Took", duration(took_ms(facts, datetime.now(UTC))), "until now" if facts["outcome"] is None else ""),
            Tile("began", "Began", at(facts["started_at"], zone), zone),
            Tile("user", "User", str(facts["user_id"]), f"chat {facts['chat_id']}"),
            Tile("stages", "Stages", count(facts["stages"]), f"{count(facts['failed_stages'])} failed", tone="bad" if facts["failed_stages"] else ""),
        ]
    )  # fmt: skip


def _waterfall(found: dict[str, Any], zone: str) -> Markup:
    spans = found["spans"]
    ends = [one["offset_ms"] + _length_ms(one) for one in spans]
    whole = max(ends, default=0.0) or 1.0
    origin = min((one["start_time"] for one in spans), default=None)
    marks = [] if origin is None else [_mark(one, origin, whole) for one in found["corrections"]]
    columns = [
        Column("Stage"),
        Column("Took", number=True),
        Column(f"From 0 to {duration(whole)}"),
        Column("Began"),
        Column("What else"),
    ]
    rows = [
        (
            _name(one), duration(one["duration_ms"]) if one["duration_ms"] is not None else "running", _bar(one, whole, marks),
            at(one["start_time"], zone, seconds=True), _more(one),
        )
        for one in spans[:_MOST_ROWS]
    ]  # fmt: skip
    drawn = table("waterfall", "The session's stages on one time axis", columns, rows, "No stage has begun.")
    key = tag("p", "◆ a correction", class_="empty") if marks else None
    return join([tag("div", drawn, class_="waterfall"), key])


def _length_ms(span: dict[str, Any]) -> float:
    return float(span["duration_ms"] or 0.0)


def _name(span: dict[str, Any]) -> Markup:
    failed = tag("span", "failed", class_="badge bad") if span["success"] is False else None
    return tag(
        "span", tag("span", span["name"]), " ", failed, style=f"padding-left:{14 * min(int(span['depth']), 8)}px"
    )


def _bar(span: dict[str, Any], whole: float, marks: list[Markup]) -> Markup:
    left, width = 100 * span["offset_ms"] / whole, 100 * _length_ms(span) / whole
    tone = (
        "bad"
        if span["success"] is False
        else "wait"
        if span["name"] in _WAITS
        else "rest"
        if span["kind"] != "stage"
        else ""
    )
    own = marks if span["kind"] == "session" else []
    return tag(
        "span",
        tag("span", class_=f"fill {tone}".strip(), style=f"left:{left:.2f}%;width:{width:.2f}%"),
        own,
        class_="track",
        aria_hidden="true",
    )


def _mark(correction: dict[str, Any], origin: datetime, whole: float) -> Markup:
    offset = 100 * (correction["timestamp"] - origin).total_seconds() * 1000 / whole
    return tag(
        "span",
        "◆",
        class_="event",
        style=f"left:{min(100.0, max(0.0, offset)):.2f}%",
        title=correction["correction_type"],
    )


def _more(span: dict[str, Any]) -> Child:
    told = [f"{name}: {value}" for name, value in (("error", span["error_type"]), ("", span["error_message"])) if value]
    tokens = [span["input_tokens"], span["output_tokens"]]
    if span["model"]:
        told.append(str(span["model"]))
    if any(one is not None for one in tokens):
        told.append(f"{count(tokens[0])} tokens in, {count(tokens[1])} out")
    return _cut(", ".join(one.removeprefix(": ") for one in told))


def _corrections(rows: list[dict[str, Any]], zone: str) -> Markup:
    columns = [
        Column("When"), Column("Type"), Column("Moderator"), Column("Time", number=True), Column("Words edited", number=True),
        Column("Similarity", number=True), Column("Length", number=True), Column("Satisfaction", number=True),
    ]  # fmt: skip
    shown = [
        (
            at(one["timestamp"], zone, seconds=True), one["correction_type"], str(one["admin_user_id"]), duration(one["processing_time_ms"]),
            _rate(one["word_edit_rate"]), _rate(one["similarity"]), f"{count(one['original_length'])} → {count(one['corrected_length'])}",
            mean_of_five(one["admin_satisfaction"]),
        )
        for one in rows[:_MOST_ROWS]
    ]  # fmt: skip
    return table("session-corrections", "Corrections of this session", columns, shown, "No corrections.")


def _rate(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _logs(rows: list[dict[str, Any]], zone: str) -> Markup:
    columns = [Column("When"), Column("Level"), Column("Event"), Column("Message"), Column("Fields")]
    shown = [
        (
            at(one["timestamp"], zone, seconds=True),
            one["level"],
            one["event_type"],
            _cut(str(one["message"])),
            _cut(_json(one["fields"])),
        )
        for one in rows[:_MOST_ROWS]
    ]
    return table("session-logs", "Log lines of this session", columns, shown, "No log lines.")


def _metadata(metadata: dict[str, Any]) -> Markup:
    rows = [(name, _cut(value if isinstance(value, str) else _json(value))) for name, value in metadata.items()]
    return table(
        "session-metadata",
        "What was said of this session",
        [Column("Name"), Column("Value")],
        rows[:_MOST_ROWS],
        "No metadata.",
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str) if value else ""


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"
