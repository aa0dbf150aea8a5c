"""Owns alerts and silences as rows: reading them, and writing them for who holds the drain lock."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from otel_metrics.model.times import iso, to_ns

_LOOKED, _BEHIND = "alerts_looked_us", "alerts_behind_us"
_ALERT = (
    "alert_id, rule, labels, kind, severity, state, pending_at, fired_at, below_at, resolved_at, value, threshold, "
    "unit, samples, message, figures"
)


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One time that a rule's condition held for a set of labels. Times are epoch nanoseconds; `alert_id` is 0 before it is stored."""

    alert_id: int
    rule: str
    labels: dict[str, str]
    kind: str
    severity: str
    state: str
    pending_at: int
    fired_at: int | None
    below_at: int | None
    resolved_at: int | None
    value: float | None
    threshold: float
    unit: str
    samples: int
    message: str
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts of a rule that have these labels are not to be counted until a time; epoch nanoseconds."""

    silence_id: int
    rule: str
    labels: dict[str, str]
    reason: str
    since: int
    until: int

    def covers(self, rule: str, labels: dict[str, str], now_ns: int) -> bool:
        """Whether it silences an alert now."""
        return self.rule == rule and self.labels.items() <= labels.items() and self.since <= now_ns < self.until


def open_alerts(connection: sqlite3.Connection) -> list[AlertRow]:
    """What is pending or firing, in the order in which it began."""
    rows = connection.execute(f"SELECT {_ALERT} FROM alerts WHERE state <> 'resolved' ORDER BY alert_id")
    return [_alert(row) for row in rows]


def fired_alert(connection: sqlite3.Connection, alert_id: int) -> AlertRow:
    """One alert that is there, whatever its state."""
    return _alert(connection.execute(f"SELECT {_ALERT} FROM alerts WHERE alert_id = ?", (alert_id,)).fetchone())


def alert_history(connection: sqlite3.Connection, rule: str | None, limit: int) -> list[AlertRow]:
    """What fires or has fired, the newest first; of one rule or of all."""
    rows = connection.execute(
        f"SELECT {_ALERT} FROM alerts WHERE fired_at IS NOT NULL AND (? IS NULL OR rule = ?) "
        "ORDER BY fired_at DESC, alert_id DESC LIMIT ?",
        (None if rule is None else _utf8(rule), None if rule is None else _utf8(rule), limit),
    )
    return [_alert(row) for row in rows]


def write_alert(connection: sqlite3.Connection, row: AlertRow) -> int:
    """Stores a new alert or what has changed of one, and gives its number."""
    values = (
        row.rule, labels_text(row.labels), row.kind, row.severity, row.state, iso(row.pending_at), _iso(row.fired_at),
        _iso(row.below_at), _iso(row.resolved_at), row.value, row.threshold, row.unit, row.samples, row.message,
        json.dumps(row.figures, ensure_ascii=False),
    )  # fmt: skip
    written = connection.execute(
        f"INSERT INTO alerts ({_ALERT}) VALUES (?, {', '.join('?' * len(values))}) "
        f"ON CONFLICT (alert_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _ALERT.split(', ')[1:])} "
        "RETURNING alert_id",
        (row.alert_id or None, *values),
    ).fetchone()
    return int(written[0])


def drop_alert(connection: sqlite3.Connection, alert_id: int) -> None:
    """Takes away what was pending and did not come to fire."""
    connection.execute("DELETE FROM alerts WHERE alert_id = ?", (alert_id,))


def silences(connection: sqlite3.Connection, now_ns: int) -> list[Silence]:
    """The silences that hold at a time."""
    now = iso(now_ns)
    rows = connection.execute(
        "SELECT silence_id, rule, labels, reason, since, until FROM silences WHERE since <= ? AND until > ? ORDER BY silence_id",
        (now, now),
    )
    return [
        Silence(number, rule, json.loads(labels), reason, to_ns(since), to_ns(until))
        for number, rule, labels, reason, since, until in rows
    ]


def add_silence(
    connection: sqlite3.Connection, rule: str, labels: dict[str, str], reason: str, since_ns: int, until_ns: int
) -> None:
    """Silences a rule's alerts that have these labels."""
    connection.execute(
        "INSERT INTO silences (rule, labels, reason, since, until) VALUES (?, ?, ?, ?, ?)",
        (_utf8(rule), labels_text(labels), _utf8(reason), iso(since_ns), iso(until_ns)),
    )


def end_silences(connection: sqlite3.Connection, rule: str, labels: dict[str, str] | None, now_ns: int) -> int:
    """Ends the silences over a rule, or those with exactly these labels, and gives their number."""
    text = None if labels is None else labels_text(labels)
    now = iso(now_ns)
    return connection.execute(
        "UPDATE silences SET until = ? WHERE rule = ? AND until > ? AND (? IS NULL OR labels = ?)",
        (now, _utf8(rule), now, text, text),
    ).rowcount


def looked(connection: sqlite3.Connection) -> tuple[int | None, int | None]:
    """When alerts were last looked at, and since when the clock has been behind that; epoch nanoseconds."""
    found = dict(
        connection.execute("SELECT name, value FROM counters WHERE name IN (?, ?)", (_LOOKED, _BEHIND)).fetchall()
    )
    last, behind = found.get(_LOOKED), found.get(_BEHIND)
    return None if last is None else last * 1000, None if behind is None else behind * 1000


def note_look(connection: sqlite3.Connection, now_ns: int) -> None:
    """Writes down when alerts were looked at."""
    _count(connection, _LOOKED, now_ns // 1000)
    connection.execute("DELETE FROM counters WHERE name = ?", (_BEHIND,))


def note_behind(connection: sqlite3.Connection, now_ns: int) -> None:
    """Writes down since when the clock has been behind the last look."""
    _count(connection, _BEHIND, now_ns // 1000)


def labels_text(labels: dict[str, str]) -> str:
    """Labels as text that is equal for equal ones."""
    return _utf8(json.dumps(labels, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def _utf8(text: str) -> str:
    """The text as SQLite can take it: what a command line gives need not be UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _count(connection: sqlite3.Connection, name: str, value: int) -> None:
    connection.execute(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
    )


def _alert(row: tuple[Any, ...]) -> AlertRow:
    number, rule, labels, kind, severity, state, pending_at, fired_at, below_at, resolved_at, *rest, figures = row
    value, threshold, unit, samples, message = rest
    return AlertRow(
        number, rule, json.loads(labels), kind, severity, state, to_ns(pending_at), _ns(fired_at), _ns(below_at),
        _ns(resolved_at), value, threshold, unit, samples, message, json.loads(figures),
    )  # fmt: skip


def _ns(text: str | None) -> int | None:
    return None if text is None else to_ns(text)


def _iso(time_ns: int | None) -> str | None:
    return None if time_ns is None else iso(time_ns)
