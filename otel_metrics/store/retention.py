"""Owns what goes when it is old: rows beyond the retention time, rotated logs beyond their number or age."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from otel_metrics.model.times import iso
from otel_metrics.store.cursor import load_cursor
from otel_metrics.store.database import note_deletions, roll_back
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.places import header_at
from otel_metrics.store.segments import retire_before, sweep

_NS_PER_DAY = 86_400_000_000_000
_TIME_OF = {
    "processing_metrics": "end_time",
    "correction_metrics": "timestamp",
    "system_metrics": "timestamp",
    "spans": "end_time",
    "logs": "timestamp",
    "running": "start_time",
    "alerts": "resolved_at",
    "silences": "until",
}


@dataclass(slots=True)
class Pruned:
    """What was deleted: rows by table, those of segments among them; the names of log files, the number of segments."""

    rows: dict[str, int] = field(default_factory=dict)
    segments: int = 0
    log_files: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SealedLog:
    """A rotated log that the tables have whole. `unsent_bytes` of it wait to be sent on by OTLP."""

    path: Path
    unsent_bytes: int
    changed_ns: int


def prune(
    connection: sqlite3.Connection, layout: StoreLayout, *, now_ns: int, retention_days: float, backups: int
) -> Pruned:
    """Deletes by age and number. A session goes when it is old and none of its rows is left; 0 days keeps all rows."""
    pruned = Pruned()
    cutoff_ns = now_ns - round(retention_days * _NS_PER_DAY)
    if retention_days > 0:
        prune_rows(connection, iso(cutoff_ns), pruned)
        prune_segments(connection, iso(cutoff_ns), now_ns, pruned)
    sweep(connection, layout, now_ns)
    cutoff_log_ns = cutoff_ns if retention_days > 0 else 0
    pruned.log_files = prune_logs(connection, layout, backups=backups, cutoff_ns=cutoff_log_ns)
    return pruned


def prune_rows(connection: sqlite3.Connection, cutoff: str, pruned: Pruned) -> None:
    """Deletes rows that ended before `cutoff`, an ISO-8601 UTC time."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table, column in _TIME_OF.items():
            count = connection.execute(f"DELETE FROM {table} WHERE {column} < ?", (cutoff,)).rowcount
            if count:
                pruned.rows[table] = count
        # Not by their own age: what still fires, however long, must not be told anew.
        connection.execute("DELETE FROM notices WHERE alert_id NOT IN (SELECT alert_id FROM alerts)")
        count = connection.execute(
            "DELETE FROM sessions WHERE coalesce(ended_at, started_at) < ? AND session_id NOT IN "
            "(SELECT session_id FROM processing_metrics)",  # not a correlated question: there is no index to answer it
            (cutoff,),
        ).rowcount
        if count:
            pruned.rows["sessions"] = count
        if pruned.rows:
            note_deletions(connection)
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def prune_segments(connection: sqlite3.Connection, cutoff: str, now_ns: int, pruned: Pruned) -> None:
    """Takes whole segments out of the manifest that ended before `cutoff`: a day's last rows keep its first ones."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for one in retire_before(connection, cutoff, now_ns):
            pruned.rows[one.table] = pruned.rows.get(one.table, 0) + one.rows
            pruned.segments += 1
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def prune_logs(connection: sqlite3.Connection, layout: StoreLayout, *, backups: int, cutoff_ns: int = 0) -> list[str]:
    """Rotated logs go, oldest first: those beyond the number once they are sent on too, those that are too old in any case.

    One that is not in the tables to its end never goes. Gives the names of those that went. Call only while holding
    the drain lock.
    """
    too_many = len(layout.rotated_files()) - backups
    gone: list[str] = []
    for log in sealed_logs(connection, layout):
        if log.changed_ns < cutoff_ns:
            if log.unsent_bytes:
                note_removal(connection, "retention", f"{log.path.name}: bytes not sent on", log.unsent_bytes)
        elif len(gone) >= too_many or log.unsent_bytes:
            continue
        if not gone:
            # Rows that a power failure could still take from the tables must not be gone from the journal.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        log.path.unlink()
        gone.append(log.path.name)
    return gone


def sealed_logs(connection: sqlite3.Connection, layout: StoreLayout) -> Iterator[SealedLog]:
    """The rotated logs that the tables have to their ends, oldest first."""
    sealed = {row[0] for row in connection.execute("SELECT journal_id FROM journal_files WHERE sealed = 1")}
    cursor = load_cursor(layout)
    for path in layout.rotated_files():
        with suppress(FileNotFoundError):
            header, status = header_at(path), path.stat()
            if header is not None and header.journal_id in sealed:
                unsent = 0 if cursor is None else cursor.unsent_bytes(header.journal_id, status.st_size)
                yield SealedLog(path, unsent, status.st_mtime_ns)


def note_removal(connection: sqlite3.Connection, reason: str, what: str, count: int) -> None:
    """Writes down what was deleted before its time, for `doctor`."""
    connection.execute(
        "INSERT INTO removals (timestamp, reason, what, count) "
        "VALUES (strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z', ?, ?, ?)",
        (reason, what, count),
    )
