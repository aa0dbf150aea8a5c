"""Owns the size limit of a store: what goes first when journal, tables and segments together are too large, written down.

In this order: rotated logs that are in the tables and sent on; rotated logs that are in the tables and wait to be sent
on; the oldest segments; the oldest rows. What is not in the tables yet goes last, and only where they can not take it.
"""

import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from otel_metrics.store.database import note_deletions, roll_back
from otel_metrics.store.journal_files import has_no_writer
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.retention import note_removal, sealed_logs
from otel_metrics.store.segments import day_of, files_of, files_set_aside, foreign, listed, retire, sweep

_TABLES = ("processing_metrics", "correction_metrics", "system_metrics", "spans", "logs", "sessions")
_ROOM = 0.95  # so far below the limit it goes, so that it need not be done again at once


@dataclass(slots=True)
class Removed:
    """What the limit cost: log files, rows by table, records that had not reached the tables."""

    log_files: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    lost_records: int = 0


def store_bytes(layout: StoreLayout) -> int:
    """The size of journal, tables and segments together, as the file system has it."""
    side_files = [layout.database.with_name(layout.database.name + end) for end in ("", "-wal")]
    total = 0
    aside = set(files_set_aside(layout))  # as with databases that were set aside: they are nobody's to delete
    for path in [*side_files, *layout.journal_files(), *(one for one in files_of(layout) if one not in aside)]:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def make_room(connection: sqlite3.Connection, layout: StoreLayout, limit_bytes: int) -> Removed:
    """Deletes until the store is within its limit, or nothing is left that may go. Call only while holding the drain lock."""
    removed = Removed()
    if store_bytes(layout) <= limit_bytes:
        return removed
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    goal = round(limit_bytes * _ROOM)
    for log in sorted(sealed_logs(connection, layout), key=lambda log: log.unsent_bytes > 0):
        if store_bytes(layout) <= goal:
            break
        if log.unsent_bytes:
            note_removal(connection, "disk_cap", "bytes not sent on", log.unsent_bytes)
        log.path.unlink()
        removed.log_files.append(log.path.name)
    if removed.log_files:
        note_removal(connection, "disk_cap", "log files that are in the tables", len(removed.log_files))
    sweep(connection, layout, 0, grace_ns=-1)
    if store_bytes(layout) > goal:
        _give_back(connection)  # a move leaves much of the file free: no row may go for that
    _drop_segments(connection, layout, goal, removed)
    _shrink_tables(connection, layout, goal, removed)
    return removed


def drop_unread_logs(layout: StoreLayout, limit_bytes: int) -> Removed:
    """The last resort, where the tables take nothing: the oldest rotated logs go, and their lines are counted as lost."""
    removed = Removed()
    for path in layout.rotated_files():
        if store_bytes(layout) <= limit_bytes:
            break
        with suppress(FileNotFoundError), path.open("rb") as file:
            if not has_no_writer(file.fileno()):
                continue
            removed.lost_records += sum(line.startswith(b'{"kind":"') for line in file) - 1
            path.unlink()
            removed.log_files.append(path.name)
    return removed


def _drop_segments(connection: sqlite3.Connection, layout: StoreLayout, goal: int, removed: Removed) -> None:
    """The days that ended first go, over all tables alike, with what an earlier database left of them."""
    others: dict[str, list[Path]] = {}
    for path in foreign(connection, layout):
        place = day_of(path)
        others.setdefault(place[1] if place else "", []).append(path)
    for day in sorted({*others, *(one.day for one in listed(connection))}):
        if store_bytes(layout) - _free_bytes(connection) <= goal:
            break
        _drop_day(connection, day, removed)
        for path in others.get(day, []):
            path.unlink()
            note_removal(connection, "disk_cap", "files of segments of an earlier database", 1)
        sweep(connection, layout, 0, grace_ns=-1)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # it counts too: no further day may go for it


def _drop_day(connection: sqlite3.Connection, day: str, removed: Removed) -> None:
    gone = [one for one in listed(connection) if one.day == day]
    connection.execute("BEGIN IMMEDIATE")
    try:
        retire(connection, [one.name for one in gone], 0)
        connection.execute("DELETE FROM archived_sessions WHERE day = ?", (day,))
        rows: dict[str, int] = {}
        for one in gone:
            rows[one.table] = rows.get(one.table, 0) + one.rows
        for table, count in rows.items():
            removed.rows[table] = removed.rows.get(table, 0) + count
            note_removal(connection, "disk_cap", f"rows of {table}", count)
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def _shrink_tables(connection: sqlite3.Connection, layout: StoreLayout, goal: int, removed: Removed) -> None:
    """Deletes the rows that came first, over all tables alike, until what is in use fits."""
    before = dict(removed.rows)
    for _ in range(10):
        over = store_bytes(layout) - _free_bytes(connection) - goal
        in_use = _page_size(connection) * _pragma(connection, "page_count") - _free_bytes(connection)
        first, last = _seq_range(connection)
        if over <= 0 or first is None:
            break
        share = min(1.0, over / max(in_use, 1) * 1.1)
        _delete_up_to(connection, first + round((last - first) * share), removed)
        _give_back(connection)
    for table, count in removed.rows.items():
        if count > before.get(table, 0):
            note_removal(connection, "disk_cap", f"rows of {table}", count - before.get(table, 0))


def _give_back(connection: sqlite3.Connection) -> None:
    """Gives the free pages of the file to the disk, as far as the file can shrink."""
    connection.executescript("PRAGMA incremental_vacuum")  # `execute` would give back one page alone
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _delete_up_to(connection: sqlite3.Connection, seq: int, removed: Removed) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in _TABLES:
            count = connection.execute(f"DELETE FROM {table} WHERE seq <= ?", (seq,)).rowcount
            if count:
                removed.rows[table] = removed.rows.get(table, 0) + count
        note_deletions(connection)
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def _seq_range(connection: sqlite3.Connection) -> tuple[int | None, int]:
    firsts = [connection.execute(f"SELECT min(seq) FROM {table}").fetchone()[0] for table in _TABLES]
    last = connection.execute("SELECT value FROM counters WHERE name = 'seq'").fetchone()[0]
    return min((first for first in firsts if first is not None), default=None), last


def _free_bytes(connection: sqlite3.Connection) -> int:
    """Pages that are free inside the file; in a file from before it could shrink they stay, and are used again."""
    return _page_size(connection) * _pragma(connection, "freelist_count")


def _page_size(connection: sqlite3.Connection) -> int:
    return _pragma(connection, "page_size")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
