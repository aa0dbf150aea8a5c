"""Owns what is told of alerts: those that fire, the states and the history in the store, and one rule explained."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from otel_metrics.analytics.alerting.duration import Duration, said
from otel_metrics.analytics.alerting.measures import measure
from otel_metrics.analytics.alerting.reading import Look, Reading, earlier, number
from otel_metrics.analytics.alerting.rules import BUILT_IN, HIGH_CORRECTION_RATE, Rule, SlowStage
from otel_metrics.analytics.alerting.states import FIRING, PENDING, plain
from otel_metrics.analytics.questions.document import Document, Record
from otel_metrics.errors import QueryError
from otel_metrics.store.alerts import AlertRow, Silence, alert_history, looked, open_alerts, silences
from otel_metrics.store.notices import Unreached, unreached
from otel_metrics.store.tables import MetricsStorage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RECENT = 5
_MOST_HISTORY = 20


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store holds of alerts at a moment: open ones, fired ones, and the silences that hold."""

    alerts: list[AlertRow]
    history: list[AlertRow]
    silences: list[Silence]
    now_ns: int
    unreached: list[Unreached] = field(default_factory=list)

    def silence_of(self, rule: Rule | None, name: str, labels: dict[str, str]) -> Silence | None:
        """The silence over an alert that lasts longest."""
        whole = {**(rule.labels if rule else {}), **labels}
        found = [one for one in self.silences if one.covers(name, whole, self.now_ns)]
        return max(found, key=lambda one: one.until, default=None)

    def alert_of(self, rule: str, labels: dict[str, str]) -> AlertRow | None:
        """The open alert of a rule and labels."""
        return next((one for one in self.alerts if one.rule == rule and one.labels == labels), None)


def kept(storage: MetricsStorage | None, now_ns: int, rule: str | None = None, limit: int = _MOST_HISTORY) -> Kept:
    """Reads it, of one moment; nothing where there is no store yet."""
    if storage is None or not storage.exists():
        return Kept([], [], [], now_ns)
    with storage.reading() as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            return Kept([], [], [], now_ns)
        return Kept(
            open_alerts(connection), alert_history(connection, rule, limit), silences(connection, now_ns), now_ns,
            unreached(connection),
        )  # fmt: skip


def looked_at(storage: MetricsStorage | None) -> datetime | None:
    """When an evaluator has looked at the rules last."""
    if storage is None or not storage.exists():
        return None
    with storage.reading() as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            return None
        return moment(looked(connection)[0])


def firing(rules: Iterable[Rule], look: Look, store: Kept, hours_s: float) -> list[Record]:
    """What is wrong now: the rules of the contract over the hours that were asked for, the others over their own windows.

    What an evaluator has found to hold, but not yet for the rule's `for`, is not there.
    """
    told = []
    for rule in rules:
        asked = _over(rule, hours_s) if rule.name in BUILT_IN else rule
        for reading in measure(asked, look):
            held = store.alert_of(rule.name, reading.labels)
            if reading.breached and not _waits(rule, held, store.now_ns):
                told.append(_firing_row(rule, reading, held, store))
    return told


def _waits(rule: Rule, held: AlertRow | None, now_ns: int) -> bool:
    """Whether `for` is not over yet. Once it is over the evaluator may be dead: then the alert is shown without it."""
    return held is not None and held.state == PENDING and now_ns - held.pending_at < rule.hold.seconds * 1e9


def _over(rule: Rule, seconds: float) -> Rule:
    """The rule over another window."""
    return msgspec.structs.replace(rule, window=Duration(seconds))


def _firing_row(rule: Rule, reading: Reading, held: AlertRow | None, store: Kept) -> Record:
    silence = store.silence_of(rule, rule.name, reading.labels)
    row = _in_the_form_of_the_contract(rule, reading) if rule.name in BUILT_IN else _in_the_common_form(rule, reading)
    if held is not None and held.fired_at is not None:
        row["fired_at"] = moment(held.fired_at)
    if silence is not None:
        row |= {"silenced": True, "silenced_until": moment(silence.until), "silence_reason": silence.reason}
    return row


def _in_the_form_of_the_contract(rule: Rule, reading: Reading) -> Record:
    value = reading.value or 0.0
    if rule.name == HIGH_CORRECTION_RATE:
        return {
            "type": rule.name, "severity": rule.severity, "message": f"High correction rate detected: {value:.1f}%",
            "correction_rate": round(value, 1), "threshold": reading.threshold, "sessions": reading.samples, "rule": rule.name,
        }  # fmt: skip
    statistic = rule.statistic if isinstance(rule, SlowStage) else "mean"
    stage = reading.labels["stage"]
    word = "average" if statistic == "mean" else statistic
    return {
        "type": rule.name, "severity": rule.severity, "message": f"Slow processing detected in {stage}: {value:.0f}ms {word}",
        "stage": stage, "avg_duration_ms" if statistic == "mean" else f"{statistic}_ms": value,
        "threshold_ms": reading.threshold, "count": reading.samples, "rule": rule.name,
    }  # fmt: skip


def _in_the_common_form(rule: Rule, reading: Reading) -> Record:
    more = {"description": rule.description, "link": rule.link}
    return {
        "type": rule.kind, "severity": rule.severity, "message": reading.message, "rule": rule.name,
        "labels": {**rule.labels, **reading.labels}, "value": reading.value, "threshold": reading.threshold,
        "unit": reading.unit, "samples": reading.samples,
        **({"stage": reading.labels["stage"]} if "stage" in reading.labels else {}),
        **{name: text for name, text in more.items() if text},
    }  # fmt: skip


def states(rules: Sequence[Rule], store: Kept) -> list[Record]:
    """The alerts that are pending or firing in the store."""
    return [_as_record(alert, rules, store) for alert in store.alerts]


def history(rules: Sequence[Rule], store: Kept) -> list[Record]:
    """The alerts that fire or have fired, the newest first."""
    return [_as_record(alert, rules, store) for alert in store.history]


def _as_record(alert: AlertRow, rules: Sequence[Rule], store: Kept) -> Record:
    rule = next((one for one in rules if one.name == alert.rule), None)
    silence = None if alert.state not in {PENDING, FIRING} else store.silence_of(rule, alert.rule, alert.labels)
    times = {name: moment(getattr(alert, name)) for name in ("pending_at", "fired_at", "below_at", "resolved_at")}
    record = {**asdict(alert), **times, "silenced_until": moment(silence.until) if silence else None}
    record["labels"] = {**(rule.labels if rule else {}), **alert.labels}
    return record


def explain(rule: Rule, look: Look, store: Kept) -> Document:
    """The figures behind a rule: what it finds now, what it found in the windows before, its state and its history."""
    readings = measure(rule, look)
    document: Document = {
        "sentences": [*_about(rule), *_now(rule, readings, store)],
        "rule": rule.name, "kind": rule.kind, "severity": rule.severity, "enabled": rule.enabled,
        "window_ms": rule.window.ms if rule.has_window else None, "for_ms": rule.hold.ms, "least": rule.least, "labels": dict(rule.labels),
        "readings": [_reading_row(rule, one, store) for one in readings],
        "recent": _recent(rule, look),
        "history": history([rule], store),
        "silences": [
            {"labels": one.labels, "reason": one.reason, "since": moment(one.since), "until": moment(one.until)}
            for one in store.silences if one.rule == rule.name
        ],
    }  # fmt: skip
    return document


def _about(rule: Rule) -> list[str]:
    told = [rule.description] if rule.description else []
    if not rule.enabled:
        told.append(f"{rule.name} is off: enabled = false.")
    kind = (type(rule).__doc__ or "").split("\n")[0]
    hold = f" It fires once this has held for {rule.hold}." if rule.hold.seconds else ""
    return [*told, f"{rule.name} ({rule.kind}, {rule.severity}) is about: {kind[:1].lower()}{kind[1:]}{hold}"]


def _now(rule: Rule, readings: list[Reading], store: Kept) -> list[str]:
    if rule.enabled and not readings:
        where = f"in the last {rule.window}" if rule.has_window else "now"
        return [f"There is nothing {where} that it could judge."]
    return [f"{one.message} {_standing(rule, one, store)}" for one in readings]


def _standing(rule: Rule, reading: Reading, store: Kept) -> str:
    """How an alert stands, in words."""
    held = store.alert_of(rule.name, reading.labels)
    silence = store.silence_of(rule, rule.name, reading.labels)
    quiet = f" It is silenced until {clock(silence.until)}: {silence.reason}." if silence else ""
    if held is None:
        told = "Above its limit, though no evaluator has seen it." if reading.breached else "Nothing is wrong."
        return told.replace("Above", "Beyond") + quiet if reading.enough else "No judgement." + quiet
    if held.state == PENDING:
        return f"Pending since {clock(held.pending_at)}; it fires after {rule.hold}.{quiet}"
    below = f", but below its limit since {clock(held.below_at)}" if held.below_at is not None else ""
    return f"Firing since {clock(held.fired_at or held.pending_at)}{below}.{quiet}"


def _reading_row(rule: Rule, reading: Reading, store: Kept) -> Record:
    held = store.alert_of(rule.name, reading.labels)
    return {
        "labels": reading.labels, "value": reading.value, "threshold": reading.threshold, "unit": reading.unit,
        "samples": reading.samples, "enough": reading.enough, "breached": reading.breached,
        "state": held.state if held else "ok", **plain(reading.figures),
    }  # fmt: skip


def _recent(rule: Rule, look: Look) -> list[Record]:
    """What the rule would have found at the ends of the windows before, the last first."""
    if not rule.has_window or not rule.enabled:
        return []
    ends = [earlier(look.now, back * rule.window.seconds) for back in range(1, _RECENT + 1)]
    return [
        {
            "until": until.replace(tzinfo=UTC), "labels": one.labels, "value": one.value, "threshold": one.threshold,
            "unit": one.unit, "samples": one.samples, "breached": one.breached,
        }
        for until in ends for one in measure(rule, replace(look, now=until))
    ]  # fmt: skip


def found_rule(rules: Iterable[Rule], name: str) -> Rule:
    """The rule of this name."""
    known = {rule.name: rule for rule in rules}
    if name not in known:
        raise QueryError(f"no rule {name!r}", f"one of {', '.join(known)}", "see `otel-metrics alerts rules`")
    return known[name]


def moment(time_ns: int | None) -> datetime | None:
    """A time of the store with its zone, UTC."""
    return None if time_ns is None else _EPOCH + timedelta(microseconds=time_ns // 1000)


def clock(time_ns: int | None) -> str:
    """A time of the store for people, in UTC; empty where there is none."""
    found = moment(time_ns)
    return "" if found is None else f"{found:%Y-%m-%d %H:%M:%S} UTC"


def worded(value: Any, unit: str) -> str:
    """A value or threshold with its unit, for people."""
    if value is None:
        return "–"
    if unit == "ms":
        return said(value)
    return f"{value:.1f}%" if unit == "percent" else f"{number(value)}{' ×' if unit == 'times' else ''}"
