"""Owns the parts that views are made of: tiles, tables, bars, notices and links, as accessible HTML."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import unescape

from otel_metrics.delivery.cli.numbers import NONE, moment, percent
from otel_metrics.delivery.page.markup import Child, Markup, join, tag
from otel_metrics.delivery.page.place import Place

_TAG = re.compile(r"<[^>]*>")
_MOST_LARGE = 10
_MOST_NAME, _MOST_TEXT, _MOST_TITLE = 120, 300, 2000
_MOST_ON_A_LINE = 28
_MOST_SENTENCE = 1000


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure with its name. `change` is the difference to the period before in percent; `good` is 1 where more is better, -1 where less is."""

    name: str
    title: str
    value: Child
    note: Child = ""
    change: float | None = None
    good: int = 0
    tone: str = ""


def tiles(given: Iterable[Tile]) -> Markup:
    """Tiles side by side, as a list of names and values."""
    return tag("dl", [_tile(one) for one in given], class_="tiles")


def _tile(one: Tile) -> Markup:
    return tag(
        "div",
        tag("dt", one.title),
        tag("dd", one.value, id=f"figure-{one.name}", class_="value long" if _is_long(one.value) else "value"),
        tag("dd", _change(one), one.note, class_="note") if one.note or one.change is not None else None,
        class_=f"tile {one.tone}".strip(),
    )


def _is_long(value: Child) -> bool:
    return isinstance(value, str) and _length(value) > _MOST_LARGE


def _length(markup: str) -> int:
    """How many characters are to be seen."""
    return len(unescape(_TAG.sub("", markup)))


def _change(one: Tile) -> Markup | None:
    if one.change is None:
        return None
    if abs(one.change) < 0.05:
        return tag("span", "no change ", class_="change")
    better = one.change * one.good
    tone = "good" if better > 0 else "bad" if better < 0 else ""
    sign = "▲" if one.change > 0 else "▼"
    word = "more" if one.change > 0 else "less"
    return tag(
        "span", tag("span", f"{sign} {percent(abs(one.change))}", aria_hidden="true"),
        tag("span", f"{percent(abs(one.change))} {word} ", class_="unseen"), class_=f"change {tone}".strip(),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, whether it holds numbers, and whether the heading is for readers of screens alone."""

    title: str
    number: bool = False
    unseen: bool = False


def table(
    name: str,
    caption: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Child]],
    empty: str = "Nothing here.",
    *,
    whole: bool = False,
) -> Markup:
    """A table whose first column names the row; where there are no rows a sentence. Long texts are cut unless it is `whole`."""
    body = [
        tag("tr", [_cell(columns[place], cell, first=place == 0, whole=whole) for place, cell in enumerate(row)])
        for row in rows
    ]
    if not body:
        return tag("p", _named(empty), class_="empty", id=f"table-{name}")
    heads = tag("tr", [_head(one) for one in columns])
    given = tag(
        "table", tag("caption", caption, class_="unseen"), tag("thead", heads), tag("tbody", body), id=f"table-{name}"
    )
    return tag("div", given, class_="scrolled", tabindex=0, role="region", aria_label=caption)


def _head(column: Column) -> Markup:
    title = tag("span", column.title, class_="unseen") if column.unseen else column.title
    return tag("th", title, scope="col", class_="number" if column.number else None)


def _cell(column: Column, cell: Child, *, first: bool, whole: bool) -> Markup:
    """Long texts may be broken anywhere, so that the figures beside them stay in sight."""
    most = _MOST_NAME if first else _MOST_TEXT
    title = None
    if isinstance(cell, str) and not isinstance(cell, Markup) and len(cell) > most and not whole:
        cell, title = _cut(cell, most), _cut(cell, _MOST_TITLE)
    content = join(cell)
    kind = "number" if column.number else "free" if _length(content) > _MOST_ON_A_LINE and not whole else None
    if first:
        return tag("th", content, scope="row", class_=kind, title=title)
    return tag("td", content, class_=kind, title=title)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def bar(share: float | None, tone: str = "") -> Markup:
    """A share from 0 to 1 as a small bar; the number beside it says the same."""
    width = 0.0 if share is None else min(1.0, max(0.0, share))
    return tag(
        "span",
        tag("span", class_=f"fill {tone}".strip(), style=f"width:{100 * width:.1f}%"),
        class_="bar",
        aria_hidden="true",
    )


def notice(text: Child, tone: str = "") -> Markup:
    """A sentence set apart."""
    return tag("p", text, class_=f"notice {tone}".strip())


def sentences(given: Iterable[str]) -> Markup:
    """What an answer says in words; names stand between backticks there."""
    return tag("ul", [tag("li", _named(_cut(one, _MOST_SENTENCE))) for one in given], class_="sentences")


def _named(sentence: str) -> list[Child]:
    parts = sentence.split("`")
    return [tag("code", part) if place % 2 else part for place, part in enumerate(parts)]


def link(text: Child, place: Place, *, title: str | None = None) -> Markup:
    """A link to another place of the page."""
    return tag("a", text, href=place.url, data_go=True, title=title)


def session_link(session_id: str, place: Place) -> Markup:
    """A link to one session, by the beginning of its id."""
    text = session_id if len(session_id) <= 14 else f"{session_id[:13]}…"
    return link(tag("code", text), place.at("sessions", id=session_id), title=session_id)


def at(time: datetime | None, zone: str, *, seconds: bool = False) -> Markup:
    """A time in the zone of the settings."""
    if time is None:
        return join(NONE)
    return tag("time", moment(time, zone, seconds=seconds), datetime=time.isoformat())


def ago(time: datetime) -> Markup:
    """How long ago a time is; the browser counts on."""
    return tag("time", "", datetime=time.isoformat(), data_ago=True)


def change_of(now: float | None, before: float | None) -> float | None:
    """The difference to before, in percent of it; None where either is missing or before was nothing."""
    return None if now is None or not before else 100.0 * (now - before) / before
