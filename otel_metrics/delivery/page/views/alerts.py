"""Owns the view Alerts: what is wrong now, how alerts stand, what fired before, silences, messages, and one rule explained."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from otel_metrics.analytics.alerting.told import worded
from otel_metrics.delivery.cli.alert_views import labels_said, rule_row
from otel_metrics.delivery.cli.numbers import count
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.figures import Column, at, link, sentences, table
from otel_metrics.delivery.page.forms import acting_form, choice, field, hidden
from otel_metrics.delivery.page.markup import Child, Markup, join, tag
from otel_metrics.delivery.page.place import Place
from otel_metrics.delivery.page.views.messages import last_look, messages, trouble
from otel_metrics.delivery.page.views.now import firing

if TYPE_CHECKING:
    from otel_metrics.analytics.alerting.rules import Rule
    from otel_metrics.delivery.page.feed import Feed

_STATES = {"firing": "bad", "pending": "warn", "resolved": "good"}
_LENGTHS = {"30m": "30 minutes", "2h": "2 hours", "1d": "a day", "1w": "a week"}


def alerts(feed: "Feed", place: Place) -> Cards:
    """States, history, silence; with a rule, that rule explained."""
    zone, rules = feed.settings.timezone, feed.answers.rules()
    chosen = place.wishes.get("rule")
    explained = [] if chosen is None else _explained(feed.answers.explain_alert(chosen), zone)
    return [
        *trouble(feed.watching),
        *explained,
        Card("wrong", "Wrong now", firing(feed.answers.alerts(place.hours), place)),
        Card("states", "States", join([_states(feed.answers.alert_states(), place, zone), last_look(feed)]), span=6),
        Card("silence", "Silence", _silence(rules, chosen), span=6),
        Card("history", "History", _history(feed.answers.alert_history(chosen), place, zone)),
        Card("messages", "Messages", messages(feed)),
        Card("rules", "Rules", _rules(rules, place)),
    ]


def _states(rows: list[dict[str, Any]], place: Place, zone: str) -> Markup:
    columns = [Column("Alert"), Column("State"), Column("Since"), Column("Silenced until")]
    shown = [
        (
            _alert(one, place),
            _state(one["state"]),
            at(one["fired_at"] or one["pending_at"], zone),
            at(one["silenced_until"], zone),
        )
        for one in rows
    ]
    return table("states", "Alerts that are pending or firing", columns, shown, "No alert is pending or firing.")


def _alert(one: dict[str, Any], place: Place) -> list[Child]:
    named = link(one["rule"], place.at("alerts", rule=str(one["rule"])))
    return [tag("span", named, class_="beside"), labels_said(one["labels"])]


def _state(state: str) -> Markup:
    return tag("span", state, class_=f"badge {_STATES.get(state, 'quiet')}")


def _history(rows: list[dict[str, Any]], place: Place, zone: str) -> Markup:
    columns = [
        Column("Alert"),
        Column("State"),
        Column("Fired"),
        Column("Over"),
        Column("Value", number=True),
        Column("Limit", number=True),
        Column("Message"),
    ]
    shown = [
        (
            _alert(one, place), _state(one["state"]), at(one["fired_at"], zone), at(one["resolved_at"], zone),
            worded(one["value"], one["unit"]), worded(one["threshold"], one["unit"]), one["message"],
        )
        for one in rows
    ]  # fmt: skip
    return table(
        "history", "Alerts that fire or have fired, the newest first", columns, shown, "No alert has fired yet."
    )


def _rules(rules: Sequence["Rule"], place: Place) -> Markup:
    columns = [
        Column("Rule"),
        Column("Kind"),
        Column("On"),
        Column("Severity"),
        Column("Window"),
        Column("For"),
        Column("Condition"),
    ]
    rows = [rule_row(one) for one in rules]
    shown = [
        (
            link(one["name"], place.at("alerts", rule=one["name"])), one["kind"], "yes" if one["enabled"] else "no", one["severity"],
            one["window"], one["for"], one["condition"],
        )
        for one in rows
    ]  # fmt: skip
    return table("rules", "Every rule of alerts", columns, shown, "There are no rules.")


def _silence(rules: Sequence["Rule"], chosen: str | None) -> Markup:
    names = [one.name for one in rules]
    return acting_form(
        "silence",
        choice("rule", "Rule", names, chosen if chosen in names else ""),
        choice("length", "For", _LENGTHS, "2h"),
        field("reason", "Why", hint="in a few words", required=True),
        tag("button", "Silence", type="submit", class_="first"),
        label="Silence a rule",
    )


def _explained(found: Mapping[str, Any], zone: str) -> list[Card]:
    readings = [
        (
            labels_said(one["labels"]).strip() or "–",
            worded(one["value"], one["unit"]),
            worded(one["threshold"], one["unit"]),
            count(one["samples"]),
            one["state"],
        )
        for one in found["readings"]
    ]
    columns = [
        Column("Labels"),
        Column("Value", number=True),
        Column("Limit", number=True),
        Column("Samples", number=True),
        Column("State"),
    ]
    body = tag(
        "div",
        sentences(found["sentences"]),
        table("readings", "What the rule finds now", columns, readings, "Nothing to judge."),
    )
    silences = [
        (labels_said(one["labels"]).strip() or "all", one["reason"], at(one["since"], zone), at(one["until"], zone))
        for one in found["silences"]
    ]
    if not silences:
        return [Card("rule", f"Rule {found['rule']}", body)]
    heads = [Column("Labels"), Column("Why"), Column("Since"), Column("Until")]
    end = acting_form(
        "unsilence",
        hidden("rule", str(found["rule"])),
        tag("button", "End the silence", type="submit"),
        label="End the silences of this rule",
    )
    quiet = tag("div", table("silences", "Silences of this rule", heads, silences), end)
    return [Card("rule", f"Rule {found['rule']}", body), Card("silences", "Silenced", quiet)]
