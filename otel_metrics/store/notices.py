"""Owns messages about alerts as rows: which are to be written, which wait, and what became of each."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from otel_metrics.model.times import iso, to_ns

WAITING, DELIVERED, UNDELIVERED = "waiting", "delivered", "undelivered"
FIRING, RESOLVED = "firing", "resolved"
_MOST_ERROR = 500
_NOTICE = "notice_id, alert_id, target, change, decided_at, severity, title, body, state, tries, tried_at, error"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to one target. `change` is firing or resolved; times are epoch nanoseconds; `notice_id` is 0 before it is stored."""

    notice_id: int
    alert_id: int
    target: str
    change: str
    decided_at: int
    severity: str
    title: str
    body: str
    state: str = WAITING
    tries: int = 0
    tried_at: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Unreached:
    """A target that has had no message since some were given up: how many, since when, and why the last one was."""

    target: str
    count: int
    since: int
    error: str


def add_notice(connection: sqlite3.Connection, notice: Notice) -> None:
    """Stores a message that is to be sent, unless there is one to this target about this change."""
    connection.execute(
        f"INSERT OR IGNORE INTO notices ({_NOTICE}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, 0, NULL, '')",
        (
            notice.alert_id, notice.target, notice.change, iso(notice.decided_at), notice.severity, notice.title,
            notice.body, notice.state,
        ),
    )  # fmt: skip


def targets_told(connection: sqlite3.Connection) -> dict[int, set[str]]:
    """To which targets there is a message that an alert fires, by alert, of those that are not resolved."""
    rows = connection.execute(
        "SELECT alert_id, target FROM notices JOIN alerts USING (alert_id) WHERE change = ? AND alerts.state <> 'resolved'",
        (FIRING,),
    )
    told: dict[int, set[str]] = {}
    for alert_id, target in rows:
        told.setdefault(alert_id, set()).add(target)
    return told


def recoveries_to_tell(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """Alerts that are resolved, each with a target to which it was said, or is to be, that it fires, and not that it is over."""
    return connection.execute(
        "SELECT alert_id, fired.target FROM notices AS fired JOIN alerts USING (alert_id) "
        "WHERE fired.change = ? AND alerts.state = 'resolved' AND NOT EXISTS (SELECT 1 FROM notices AS over "
        "WHERE over.alert_id = fired.alert_id AND over.target = fired.target AND over.change = ?) ORDER BY fired.notice_id",
        (FIRING, RESOLVED),
    ).fetchall()


def waiting_notices(connection: sqlite3.Connection) -> list[Notice]:
    """What is still to be sent, what was tried least first; of one alert and target in the order in which it happened."""
    rows = connection.execute(f"SELECT {_NOTICE} FROM notices WHERE state = '{WAITING}' ORDER BY notice_id")
    first: dict[tuple[int, str], Notice] = {}
    for one in map(_notice, rows):
        first.setdefault((one.alert_id, one.target), one)
    return sorted(first.values(), key=lambda one: (one.tries, one.notice_id))


def recent_notices(connection: sqlite3.Connection, limit: int) -> list[Notice]:
    """The messages there are, the newest first."""
    rows = connection.execute(f"SELECT {_NOTICE} FROM notices ORDER BY notice_id DESC LIMIT ?", (limit,))
    return [_notice(row) for row in rows]


def unreached(connection: sqlite3.Connection) -> list[Unreached]:
    """The targets at which messages were given up, and none has arrived since."""
    rows = connection.execute(
        "SELECT target, count(*), min(decided_at), error, max(notice_id) FROM notices AS lost WHERE state = ? AND notice_id > "
        "(SELECT coalesce(max(notice_id), 0) FROM notices WHERE target = lost.target AND state = ?) GROUP BY target ORDER BY target",
        (UNDELIVERED, DELIVERED),
    )
    return [Unreached(target, count, to_ns(since), error) for target, count, since, error, _ in rows]


def note_tries(connection: sqlite3.Connection, notice_ids: Iterable[int], now_ns: int) -> None:
    """Counts a try of each, before it is made."""
    connection.executemany(
        "UPDATE notices SET tries = tries + 1, tried_at = ?, error = 'the process ended while it was being sent' WHERE notice_id = ?",
        [(iso(now_ns), one) for one in notice_ids],
    )


def note_outcome(connection: sqlite3.Connection, notice_id: int, state: str, error: str) -> None:
    """Writes down what became of a try."""
    connection.execute(
        "UPDATE notices SET state = ?, error = ? WHERE notice_id = ?", (state, error[:_MOST_ERROR], notice_id)
    )


def send_again(connection: sqlite3.Connection) -> int:
    """Lets what was given up be tried anew, and gives the number."""
    return connection.execute(
        "UPDATE notices SET state = ?, tries = 0, tried_at = NULL WHERE state = ?", (WAITING, UNDELIVERED)
    ).rowcount


def _notice(row: tuple[int, int, str, str, str, str, str, str, str, int, str | None, str]) -> Notice:
    number, alert_id, target, change, decided_at, severity, title, body, state, tries, tried_at, error = row
    return Notice(
        number, alert_id, target, change, to_ns(decided_at), severity, title, body, state, tries,
        None if tried_at is None else to_ns(tried_at), error,
    )  # fmt: skip
