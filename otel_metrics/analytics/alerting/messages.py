"""Owns the decision which messages about alerts are to be sent to whom, and their words."""

import sqlite3
import unicodedata
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from otel_metrics.analytics.alerting.duration import said
from otel_metrics.analytics.alerting.rules import Rule
from otel_metrics.analytics.alerting.rules_file import RulesFile
from otel_metrics.analytics.alerting.states import FIRING, RESOLVED
from otel_metrics.analytics.alerting.told import clock, worded
from otel_metrics.store.alerts import AlertRow, Silence, fired_alert, open_alerts, silences
from otel_metrics.store.notices import Notice, add_notice, recoveries_to_tell, targets_told

_MOST_TITLE = 200


def decide_messages(connection: sqlite3.Connection, file: RulesFile, now_ns: int) -> None:
    """Writes down what is to be sent, from the states that are there. Call in the transaction that changes them.

    What fires and is not silenced is told once to each target that the rule has, when the silence is over too; that it is
    over is told to whom it was told that it fires, silenced or not. What another evaluator has changed counts as well.
    """
    _decide_firing(connection, file, now_ns)
    rules = {rule.name: rule for rule in file.rules}
    for alert_id, target in recoveries_to_tell(connection):
        alert = fired_alert(connection, alert_id)
        add_notice(connection, _notice(alert, rules.get(alert.rule), file.page, target, RESOLVED, now_ns))


def _decide_firing(connection: sqlite3.Connection, file: RulesFile, now_ns: int) -> None:
    rules = {rule.name: rule for rule in file.rules if rule.enabled}
    silenced = silences(connection, now_ns)
    told = targets_told(connection)
    for alert in open_alerts(connection):
        rule = rules.get(alert.rule)
        if alert.state != FIRING or rule is None or _is_silenced(alert, rule, silenced, now_ns):
            continue
        for target in file.targets:
            if target.takes(rule) and target.name not in told.get(alert.alert_id, ()):
                add_notice(connection, _notice(alert, rule, file.page, target.name, FIRING, now_ns))


def _is_silenced(alert: AlertRow, rule: Rule, silenced: Iterable[Silence], now_ns: int) -> bool:
    labels = {**rule.labels, **alert.labels}
    return any(one.covers(alert.rule, labels, now_ns) for one in silenced)


def _notice(alert: AlertRow, rule: Rule | None, page: str, target: str, change: str, now_ns: int) -> Notice:
    return Notice(
        0,
        alert.alert_id,
        target,
        change,
        now_ns,
        alert.severity,
        _title(alert, change),
        _body(alert, rule, page, change),
    )


def _title(alert: AlertRow, change: str) -> str:
    """Such as `FIRING critical: slow_drafts (stage=ai_processing)`, on one line: it becomes the subject of a mail."""
    word = f"FIRING {alert.severity}" if change == FIRING else "RESOLVED"
    title = one_line(f"{word}: {alert.rule}{f' ({_pairs(alert.labels)})' if alert.labels else ''}")
    return title if len(title) <= _MOST_TITLE else f"{title[: _MOST_TITLE - 1]}…"


def _body(alert: AlertRow, rule: Rule | None, page: str, change: str) -> str:
    """What happened, the figures, since when, and where there is more."""
    fired = alert.pending_at if alert.fired_at is None else alert.fired_at
    unit = alert.unit
    figures = f"{worded(alert.value, unit)}, limit {worded(alert.threshold, unit)}, {alert.samples:,} samples"
    lines = [
        alert.message if change == FIRING else f"It is over. When it last held: {alert.message}",
        "",
        f"Figures: {figures}",
    ]
    if change == FIRING:
        lines.append(f"Firing since: {clock(fired)}")
    else:
        over = fired if alert.resolved_at is None else alert.resolved_at
        lines.append(f"Fired: {clock(fired)}, for {said(max(0, over - fired) / 1e6)}")
    if rule is not None and rule.labels:
        lines.append(f"Labels: {_pairs(rule.labels)}")
    if rule is not None and rule.description:
        lines.append(rule.description)
    if rule is not None and rule.link:
        lines.append(f"What to do: {rule.link}")
    more = f"{page}/alerts?rule={quote(alert.rule)}" if page else f"otel-metrics alerts explain {alert.rule}"
    return "\n".join([*(one_line(line) for line in lines), f"More: {more}"])


def one_line(text: str) -> str:
    """The text without what steers: names come from anywhere, and a line end in a mail's subject would begin a header."""
    return "".join(" " if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else one for one in text)


def _pairs(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items())
