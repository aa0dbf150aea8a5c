"""Owns the view Now: what waits, what is running, how many sessions get through, and which alerts fire."""

from typing import TYPE_CHECKING, Any

from otel_metrics.delivery.cli.numbers import count, duration
from otel_metrics.delivery.cli.words import alert_sentence
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.figures import Column, Tile, ago, link, notice, session_link, table, tiles
from otel_metrics.delivery.page.markup import Markup, join, tag
from otel_metrics.delivery.page.place import Place
from otel_metrics.delivery.page.views.series import throughput

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_MOST_ROWS = 50
_MOST_OLD_S = 60.0
_LOCAL = "This is told by the local store alone."


def now(feed: "Feed", place: Place) -> Cards:
    """The queue with ages, stages running, throughput, alerts."""
    queue = feed.answers.queue()
    is_known = "running" not in feed.answers.lacks
    alerts = feed.remembered("alerts", place.hours, _MOST_OLD_S, lambda: feed.answers.alerts(place.hours))
    course = feed.remembered("course", place.hours, _MOST_OLD_S, lambda: feed.answers.over_time(place.hours))
    return [
        Card("now", "Now", _tiles(queue if is_known else None, alerts, course, place), quiet=True),
        Card("alerts-now", "Alerts", firing(alerts, place), span=12),
        Card(
            "queue",
            "Waiting for a moderator",
            _waiting(queue["waiting"], place) if is_known else notice(_LOCAL),
            span=6,
        ),
        Card("running", "Stages running", _running(queue["running"], place) if is_known else notice(_LOCAL), span=6),
        throughput(course, place, feed.settings.timezone, span=12),
    ]


def _tiles(queue: dict[str, Any] | None, alerts: list[dict[str, Any]], course: dict[str, Any], place: Place) -> Markup:
    waiting = queue["waiting"] if queue else []
    running = [one for one in queue["running"] if one["state"] == "running"] if queue else []
    loud = [one for one in alerts if not one.get("silenced")]
    oldest = ago(waiting[0]["waiting_since"]) if waiting else "–"
    sessions = sum(one["sessions"] for one in course["steps"])
    return tiles(
        [
            Tile("waiting", "Waiting", count(len(waiting)) if queue else "–", "for a moderator"),
            Tile("oldest", "Waiting longest", oldest, "since the draft"),
            Tile("running", "Running", count(len(running)) if queue else "–", "stages right now"),
            Tile("throughput", "Throughput", f"{sessions / place.hours:,.1f}/h", f"{count(sessions)} sessions in the range"),
            Tile(
                "alerts", "Alerts", count(len(loud)), link("see all", place.at("alerts")), tone="bad" if loud else "",
            ),
        ]
    )  # fmt: skip


def firing(alerts: list[dict[str, Any]], place: Place) -> Markup:
    """What is wrong now, a sentence each."""
    if not alerts:
        return notice("All quiet: no alert is firing.", "good")
    return tag("ul", [_alert(one, place) for one in alerts], class_="alerts", id="alerts-firing")


def _alert(one: dict[str, Any], place: Place) -> Markup:
    severity = str(one.get("severity") or "warning")
    tone = (
        "quiet" if one.get("silenced") or severity == "info" else "bad" if severity in {"critical", "error"} else "warn"
    )
    rule = one.get("rule")
    name = link(rule, place.at("alerts", rule=str(rule))) if rule else link(one["type"], place.at("alerts"))
    return tag(
        "li", tag("span", severity, class_=f"badge {tone}"), " ", name, " ",
        tag("span", alert_sentence(one)),
    )  # fmt: skip


def _waiting(rows: list[dict[str, Any]], place: Place) -> Markup:
    columns = [Column("Session"), Column("User"), Column("Waiting for", number=True)]
    shown = [
        (session_link(one["session_id"], place), str(one["user_id"]), ago(one["waiting_since"]))
        for one in rows[:_MOST_ROWS]
    ]
    more = notice(f"and {count(len(rows) - _MOST_ROWS)} more") if len(rows) > _MOST_ROWS else None
    return join(
        [table("queue", "Sessions that wait for a moderator, the oldest first", columns, shown, "Nobody waits."), more]
    )


def _running(rows: list[dict[str, Any]], place: Place) -> Markup:
    columns = [Column("Session"), Column("Stage"), Column("State"), Column("For", number=True)]
    shown = [
        (session_link(one["session_id"], place), one["stage"], _state(one["state"]), _age(one))
        for one in rows[:_MOST_ROWS]
    ]
    more = notice(f"and {count(len(rows) - _MOST_ROWS)} more") if len(rows) > _MOST_ROWS else None
    return join(
        [table("running", "Stages that have begun and not ended", columns, shown, "No stage is running."), more]
    )


def _state(state: str) -> Markup:
    return tag("span", state, class_="badge quiet" if state == "interrupted" else "badge work")


def _age(one: dict[str, Any]) -> Markup | str:
    return ago(one["started_at"]) if one["started_at"] else duration(one["age_ms"])
