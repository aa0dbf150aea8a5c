"""Owns how rules, their readings and the history of alerts look in a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from otel_metrics.analytics.alerting.duration import Duration
from otel_metrics.analytics.alerting.rules import Rule
from otel_metrics.analytics.alerting.targets import Target
from otel_metrics.analytics.alerting.told import worded
from otel_metrics.delivery.cli.numbers import moment
from otel_metrics.delivery.cli.text import clean

Row = dict[str, Any]
HISTORY_COLUMNS = [
    "rule", "labels", "severity", "state", "pending_at", "fired_at", "resolved_at", "value", "threshold", "unit",
    "samples", "message",
]  # fmt: skip
MESSAGE_COLUMNS = ["target", "change", "state", "tries", "decided_at", "tried_at", "title", "error", "body"]
RULE_COLUMNS = [
    "name",
    "kind",
    "enabled",
    "severity",
    "window",
    "for",
    "least",
    "condition",
    "labels",
    "description",
    "link",
    "notify",
]
_COMMON = {"name", "enabled", "severity", "window", "hold", "least", "labels", "description", "link", "notify"}


def rule_row(rule: Rule) -> Row:
    """A rule as a row: what every rule says, and its condition in the words of the file."""
    return {
        "name": rule.name, "kind": rule.kind, "enabled": rule.enabled, "severity": rule.severity,
        "window": str(rule.window), "for": str(rule.hold), "least": rule.least, "condition": _condition(rule),
        "labels": dict(rule.labels), "description": rule.description, "link": rule.link,
        "notify": None if rule.notify is None else list(rule.notify),
    }  # fmt: skip


def _condition(rule: Rule) -> str:
    """The kind's own keys that say something, such as `threshold 10s, people_threshold 30m, statistic mean`."""
    own = {
        key: getattr(rule, field)
        for key, field in zip(rule.__struct_encode_fields__, rule.__struct_fields__, strict=True)
        if field not in _COMMON
    }
    return ", ".join(f"{key} {_said(value)}" for key, value in own.items() if value is not None and value is not False)


def _said(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, Duration | str | int) else msgspec.json.encode(value).decode()


@dataclass(frozen=True, slots=True)
class RulesView:
    """Rules: their names and kinds, and below what each one says; then the targets that are told, without their URLs."""

    rules: Sequence[Rule]
    targets: Sequence[Target]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for rule in self.rules:
            sign, style = ("●", "good") if rule.enabled else ("○", "quiet")
            head = f"{rule.name}{labels_said(rule.labels)}"
            off = "" if rule.enabled else ", off"
            yield Text.assemble((f"{sign} ", style), clean(head), (f"  {rule.kind}, {rule.severity}{off}", "quiet"))
            yield Text(f"  {clean(_condition(rule))}; {_when(rule)}")
            if rule.notify is not None:
                yield Text(f"  told to {', '.join(rule.notify) or 'nobody'}")
        for target in self.targets:
            least = "" if target.severity == "info" else f", from {target.severity} on"
            yield Text.assemble(("→ ", "work"), target.name, (f"  {clean(target.scheme)}{least}", "quiet"))


def _when(rule: Rule) -> str:
    over = f"over {rule.window}" if rule.has_window else "now"
    hold = f", held for {rule.hold}" if rule.hold.seconds else ""
    return f"{over}{hold}, from {rule.least:,} sample{'' if rule.least == 1 else 's'} on"


@dataclass(frozen=True, slots=True)
class HistoryView:
    """Alerts, the newest first: when they fired, for how long, and what they said last."""

    alerts: Sequence[Row]
    zone: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for number, one in enumerate(self.alerts):
            if number:
                yield Text("")
            sign, style = ("▲", "bad") if one["state"] == "firing" else ("✓", "good")
            over = "now" if one["resolved_at"] is None else moment(one["resolved_at"], self.zone)
            silenced = " (silenced)" if one["silenced_until"] else ""
            head = f"{one['rule']}{labels_said(one['labels'])} {one['state']}{silenced}"
            when = f"  {moment(one['fired_at'], self.zone)} to {over} ({self.zone})"
            yield Text.assemble((f"{sign} ", style), clean(head), (when, "quiet"))
            yield Text(f"  {clean(one['message'])}")


@dataclass(frozen=True, slots=True)
class MessagesView:
    """Messages about alerts, the newest first: to whom, when decided, and what became of each."""

    messages: Sequence[Row]
    zone: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        signs = {"delivered": ("✓", "good"), "undelivered": ("✗", "bad")}
        for one in self.messages:
            sign, style = signs.get(one["state"], ("→", "warn"))
            tries = f", {one['tries']} tr{'y' if one['tries'] == 1 else 'ies'}"
            when = f"  {moment(one['decided_at'], self.zone)} ({self.zone}), {one['state']}{tries}"
            yield Text.assemble((f"{sign} ", style), f"{clean(one['target'])}: {clean(one['title'])}", (when, "quiet"))
            if one["state"] != "delivered" and one["error"]:
                yield Text(f"  {clean(one['error'])}", style)


def labels_said(labels: Mapping[str, str]) -> str:
    """Labels behind a rule's name, such as `{stage=ai_processing}`; nothing where there are none."""
    return f" {{{', '.join(f'{name}={value}' for name, value in labels.items())}}}" if labels else ""


def explained(document: Row) -> Row:
    """An explanation as a terminal shows it: values with their units, labels as text."""
    shown = {name: value for name, value in document.items() if name not in {"labels", "rule", "kind"}}
    shown["readings"] = [_with_units(row) for row in document["readings"]]
    shown["recent"] = [_with_units(row) for row in document["recent"]]
    shown["history"] = [
        {
            "alert": labels_said(row["labels"]).strip(), "state": row["state"], "fired_at": row["fired_at"],
            "resolved_at": row["resolved_at"], "value": worded(row["value"], row["unit"]),
        }
        for row in document["history"]
    ]  # fmt: skip
    shown["silences"] = [{**row, "labels": labels_said(row["labels"]).strip()} for row in document["silences"]]
    return {name: value for name, value in shown.items() if value not in ([], "", None)}


def _with_units(row: Row) -> Row:
    names = ("labels", "until", "value", "threshold", "samples", "state", "breached")
    found = {name: row[name] for name in names if name in row}
    return {
        **found, "labels": labels_said(row["labels"]).strip() or None, "value": worded(row["value"], row["unit"]),
        "threshold": worded(row["threshold"], row["unit"]),
    }  # fmt: skip
