"""Owns what the view Alerts says of telling people: the messages with what became of each, and who looks at the rules."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from otel_metrics.analytics.alerting.duration import said
from otel_metrics.delivery.cli.numbers import count, time_of_day
from otel_metrics.delivery.notify.courier import pause_s
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.figures import Column, ago, at, notice, table
from otel_metrics.delivery.page.markup import Child, Markup, join, tag
from otel_metrics.store.notices import DELIVERED, UNDELIVERED

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed
    from otel_metrics.delivery.page.watch import Watching

_MOST = 50


def messages(feed: "Feed") -> Markup:
    """The newest messages: what, what became of it and why, to whom, and when."""
    schemes = {one.name: one.scheme for one in feed.answers.targets()}
    zone = feed.settings.timezone
    columns = [Column("Message"), Column("State"), Column("Target"), Column("Tries", number=True), Column("Decided"), Column("Last try")]  # fmt: skip
    found = feed.answers.alert_messages(_MOST)
    rows = [
        (
            _said(one), _state(one, zone), _target(one["target"], schemes), count(one["tries"]), at(one["decided_at"], zone),
            at(one["tried_at"], zone),
        )
        for one in found
    ]  # fmt: skip
    empty = "No message yet: one is sent when an alert fires, and another when it is over."
    if not schemes:
        empty = "Nobody is told of alerts: `metrics.rules.toml` has no target."
    lost = any(one["state"] == UNDELIVERED for one in found)
    return join(
        [
            table("messages", "Messages about alerts, the newest first", columns, rows, empty),
            tag("p", tag("code", "otel-metrics alerts messages --again"), " lets what is undelivered be tried anew.", class_="hint-line") if lost else None,
        ]
    )  # fmt: skip


def _said(one: Mapping[str, Any]) -> list[Child]:
    error = one["error"] if one["state"] != DELIVERED else ""
    return [tag("span", one["title"]), tag("span", error, class_="why") if error else None]


def _state(one: Mapping[str, Any], zone: str) -> list[Child]:
    if one["state"] == DELIVERED:
        return [_badge("sent", "good")]
    if one["state"] == UNDELIVERED:
        return [_badge("undelivered", "bad")]
    if not one["tries"]:
        return [_badge("to be sent", "work")]
    again = one["tried_at"] + timedelta(seconds=pause_s(one["tries"]))
    return [
        _badge("to be retried", "warn"),
        tag("span", "from ", tag("time", time_of_day(again, zone), datetime=again.isoformat()), class_="why"),
    ]


def _badge(text: str, tone: str) -> Markup:
    return tag("span", text, class_=f"badge {tone}")


def _target(name: str, schemes: Mapping[str, str]) -> list[Child]:
    """The name, and of the URL what is no secret."""
    kind = f"{schemes[name]}://…" if name in schemes else "not in the rules file"
    return [tag("span", name), tag("span", kind, class_="why")]


def trouble(watching: "Watching") -> Cards:
    """What keeps this page from looking at the rules, where something does."""
    told = watching.problem
    return (
        [Card("watch-trouble", "Alerts are held up", notice(f"{told[:1].upper()}{told[1:]}.", "bad"))] if told else []
    )


def last_look(feed: "Feed") -> Markup:
    """When somebody looked at the rules last, and whether this page does."""
    every_s, looked_at = feed.watching.every_s, feed.answers.alerts_looked_at()
    own: list[Child] = [f"This page does so every {said((every_s or 0) * 1000)}."]
    if every_s is None:
        own = ["This page leaves that to ", tag("code", "otel-metrics watch"), "."]
    last = (
        ["The rules were looked at ", ago(looked_at), " ago. "] if looked_at else ["Nobody has looked at the rules. "]
    )
    return tag("p", last, own, class_="hint-line")
