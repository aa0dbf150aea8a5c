"""Owns a look at all rules that counts: readings become states in the store, and each change of one is told once."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_metrics.analytics.alerting.messages import decide_messages
from otel_metrics.analytics.alerting.reading import Reading
from otel_metrics.analytics.alerting.rules import Rule
from otel_metrics.analytics.alerting.rules_file import RulesFile
from otel_metrics.analytics.alerting.states import Transition, step, transition
from otel_metrics.errors import StoreError
from otel_metrics.model.times import TimeInput, to_ns
from otel_metrics.store.alerts import (
    AlertRow,
    Silence,
    drop_alert,
    labels_text,
    looked,
    note_behind,
    note_look,
    open_alerts,
    silences,
    write_alert,
)
from otel_metrics.store.database import roll_back
from otel_metrics.store.tables import MetricsStorage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_metrics.analytics.answers import Answers

_WAIT_S = 10.0
_DISBELIEF_NS = 3_600_000_000_000
"""A clock that is behind the last look counts again after it has said so for an hour."""
Key = tuple[str, str]


def evaluate_alerts(
    storage: MetricsStorage,
    answers: "Answers",
    rules: Iterable[Rule],
    now: TimeInput,
    *,
    notify: RulesFile | None = None,
) -> list[Transition]:
    """Looks at all rules as of `now`, writes the states, and gives what has changed, in the order of the rules.

    Several evaluators may do so: who holds the drain lock writes, and the other one finds it done. A look before the
    last one changes nothing. `StoreError` where another process keeps the tables. With `notify` the messages to its
    targets are decided in the same transaction; a `Courier` sends them.
    """
    now_ns = to_ns(now)
    by_name = {rule.name: rule for rule in rules if rule.enabled}
    readings = answers.readings(by_name.values(), now_ns)
    with writing_alerts(storage) as connection:
        if not _counts(connection, now_ns):
            return []
        told = _step_all(connection, by_name, readings, now_ns)
        if notify is not None:
            decide_messages(connection, notify, now_ns)
        note_look(connection, now_ns)
    return told


@contextmanager
def writing_alerts(storage: MetricsStorage) -> "Iterator[sqlite3.Connection]":
    """One transaction over alerts and silences, while no other process writes; all of it or nothing is kept."""
    with storage.alone(_WAIT_S) as connection:
        if connection is None:
            raise StoreError(f"another process has kept the tables for {_WAIT_S:g} s", "that it lets go", "try again")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise


def _counts(connection: sqlite3.Connection, now_ns: int) -> bool:
    """Whether a look at this time counts: one that is behind the last one does only after an hour of such looks."""
    last, behind = looked(connection)
    if last is None or now_ns >= last:
        return True
    if behind is None or now_ns < behind:
        note_behind(connection, now_ns)
        return False
    if now_ns - behind < _DISBELIEF_NS:
        return False
    for alert in open_alerts(connection):
        write_alert(connection, _brought_back(alert, now_ns))
    return True


def _brought_back(alert: AlertRow, now_ns: int) -> AlertRow:
    """An alert of times that have not been yet, as one of now."""
    return replace(
        alert, pending_at=min(alert.pending_at, now_ns),
        fired_at=None if alert.fired_at is None else min(alert.fired_at, now_ns),
        below_at=None if alert.below_at is None else min(alert.below_at, now_ns),
    )  # fmt: skip


def _step_all(
    connection: sqlite3.Connection, rules: Mapping[str, Rule], readings: Mapping[str, list[Reading]], now_ns: int
) -> list[Transition]:
    held = {_key(alert.rule, alert.labels): alert for alert in open_alerts(connection)}
    found = {_key(name, one.labels): one for name, several in readings.items() for one in several}
    silenced = silences(connection, now_ns)
    told: list[Transition] = []
    for key in dict.fromkeys((*found, *held)):
        before, rule = held.get(key), rules.get(key[0])
        after = step(before, rule, found.get(key), now_ns)
        if after == before:
            continue
        if after is not None:
            after = replace(after, alert_id=write_alert(connection, after))
        elif before is not None:
            drop_alert(connection, before.alert_id)
        change = transition(before, after, now_ns)
        if change is not None:
            told.append(_with_words(change, rule, silenced))
    return told


def _with_words(change: Transition, rule: Rule | None, silenced: list[Silence]) -> Transition:
    labels = {**(rule.labels if rule else {}), **change.alert.labels}
    quiet = any(one.covers(change.alert.rule, labels, change.at) for one in silenced)
    if rule is None:
        return replace(change, silenced=quiet)
    return replace(change, silenced=quiet, description=rule.description, link=rule.link)


def _key(rule: str, labels: dict[str, str]) -> Key:
    return rule, labels_text(labels)
