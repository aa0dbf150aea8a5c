"""Owns the view Sessions: searching them, and the list of those that were found."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from otel_metrics.analytics.alerting.duration import EXPECTED, Duration
from otel_metrics.analytics.search import OUTCOMES
from otel_metrics.delivery.cli.numbers import count, duration
from otel_metrics.delivery.cli.words import state_of, took_ms
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.figures import Column, at, notice, session_link, table
from otel_metrics.delivery.page.forms import choice, field, hidden, search_form
from otel_metrics.delivery.page.markup import Markup, join, tag
from otel_metrics.delivery.page.place import Place
from otel_metrics.delivery.page.views.session import session
from otel_metrics.errors import QueryError
from otel_metrics.model.vocabulary import ProcessingStage

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_MOST_ROWS = 100
_TONES = {"good": "good", "warn": "warn", "bad": "bad", "quiet": "quiet", "work": "work", "wait": "wait"}
_YES_OR_NO = {"": "any", "yes": "yes", "no": "no"}


def sessions(feed: "Feed", place: Place) -> Cards:
    """The search and what it finds; with an id, that session whole."""
    if "id" in place.wishes:
        return session(feed, place)
    form = Card("search", "Search", _form(place))
    try:
        found = feed.answers.sessions(place.hours, _MOST_ROWS, **wishes_of(place))
    except QueryError as error:
        return [form, Card("found", "Sessions", notice(str(error), "bad"))]
    waiting = {one["session_id"] for one in feed.answers.queue()["waiting"]}
    return [form, Card("found", "Sessions", _list(found, waiting, place, feed.settings.timezone))]


def wishes_of(place: Place) -> dict[str, Any]:
    """What is searched for, from the address."""
    given = place.wishes
    error = given.get("error")
    return {
        "user": _id(given.get("user")), "chat": _id(given.get("chat")), "outcome": given.get("outcome"),
        "stage": given.get("stage"), "error": True if error == "any" else error,
        "longer_than_ms": _milliseconds("longer", given), "shorter_than_ms": _milliseconds("shorter", given),
        "corrected": {"yes": True, "no": False}.get(given.get("corrected", "")),
        "waiting": True if given.get("waiting") == "yes" else None,
    }  # fmt: skip


def _id(text: str | None) -> object:
    """Numbers are looked for as numbers, as the command line does."""
    return text if text is None or not re.fullmatch(r"-?\d{1,19}", text) else int(text)


def _milliseconds(name: str, given: Any) -> float | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        return Duration.parse(text).ms
    except ValueError:
        raise QueryError(f"{name}={text[:40]!r}", EXPECTED, "for example 10m") from None


def _form(place: Place) -> Markup:
    given = place.wishes
    stages = {"": "any", **{str(one): str(one) for one in ProcessingStage}}
    if given.get("stage"):
        stages.setdefault(given["stage"], given["stage"])
    return search_form(
        "/sessions",
        hidden("hours", f"{place.hours:g}") if place.hours != 24 else None,
        field("id", "Session id", search=True, hint="or its beginning"),
        field("user", "User", given.get("user", "")),
        field("chat", "Chat", given.get("chat", "")),
        choice("outcome", "Outcome", {"": "any", **{one: one for one in OUTCOMES}}, given.get("outcome", "")),
        choice("stage", "With stage", stages, given.get("stage", "")),
        field("error", "With error", given.get("error", ""), hint="any, or a type"),
        field("longer", "Longer than", given.get("longer", ""), hint="10m"),
        field("shorter", "Shorter than", given.get("shorter", ""), hint="90s"),
        choice("corrected", "Corrected", _YES_OR_NO, given.get("corrected", "")),
        choice("waiting", "Waiting now", {"": "any", "yes": "yes"}, given.get("waiting", "")),
        tag("button", "Search", type="submit", class_="first"),
        tag("a", "Clear", href=Place("sessions", place.hours).url, data_go=True, class_="button") if given else None,
    )  # fmt: skip


def _list(found: list[dict[str, Any]], waiting: set[str], place: Place, zone: str) -> Markup:
    now = datetime.now(UTC)
    columns = [
        Column("Session"), Column("State"), Column("User"), Column("Began"), Column("Took", number=True), Column("Stages", number=True),
        Column("Failed", number=True), Column("Corrections", number=True), Column("Last stage"),
    ]  # fmt: skip
    rows = [
        (
            session_link(one["session_id"], place), state_badge(one, is_waiting=one["session_id"] in waiting), str(one["user_id"]),
            at(one["started_at"], zone), duration(took_ms(one, now)), count(one["stages"]), count(one["failed_stages"]),
            count(one["corrections"]), str(one["current_stage"] or "–"),
        )
        for one in found
    ]  # fmt: skip
    more = (
        notice(f"The newest {_MOST_ROWS} are shown; a narrower search finds others.")
        if len(found) == _MOST_ROWS
        else None
    )
    return join(
        [table("sessions", "Sessions, the newest first", columns, rows, "No such sessions in this time."), more]
    )


def state_badge(one: dict[str, Any], *, is_waiting: bool = False) -> Markup:
    """How a session stands."""
    sign, word, tone = state_of(one, is_waiting=is_waiting)
    return tag("span", f"{sign} {word}", class_=f"badge {_TONES.get(tone, 'quiet')}")
