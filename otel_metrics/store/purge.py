"""Owns what becomes of rows when a person is forgotten: own sessions are deleted whole, elsewhere the ids are taken out."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from otel_metrics.errors import StoreError
from otel_metrics.store.belongings import SHARED_SESSION
from otel_metrics.store.database import note_deletions
from otel_metrics.store.scrub import ID_FIELDS, ROW, Scrubber, is_structure

_WITHOUT_PEOPLE = frozenset(
    {"journal_files", "counters", "segments", "retired_segments", "archived_sessions", "imports", "imported_lines"}
)
_BLOCK = 500


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def ids(self) -> list[str]:
        return [name for name in self.columns if name in ID_FIELDS]

    @property
    def where_key(self) -> str:
        return " AND ".join(f"{name} = ?" for name in self.keys)


def purge(
    connection: sqlite3.Connection, scrubber: Scrubber, sessions: Iterable[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """Gives the numbers of deleted and of scrubbed rows by table. Call inside a transaction."""
    deleted: dict[str, int] = {}
    scrubbed: dict[str, int] = {}
    tables = list(_tables(connection))
    connection.execute("CREATE TEMP TABLE own_sessions (session_id TEXT PRIMARY KEY) WITHOUT ROWID")
    connection.executemany("INSERT INTO own_sessions VALUES (?)", [(one,) for one in sessions])
    for table in tables:
        if "session_id" in table.columns and (count := _delete(connection, table, scrubber)):
            deleted[table.name] = count
    connection.execute("DROP TABLE own_sessions")
    with _any_text(connection):
        for table in tables:
            if count := _scrub(connection, table, scrubber):
                scrubbed[table.name] = count
    if deleted or scrubbed:
        note_deletions(connection)
    return deleted, scrubbed


def compact(connection: sqlite3.Connection) -> None:
    """Leaves nothing of deleted rows in the files of the database: neither in free pages nor in the write-ahead log."""
    connection.execute("VACUUM")
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreError(
            "another process reads the database for a long time; deleted rows still stand in its write-ahead log",
            "a moment without readers", "end that process or wait for it, then run `forget` again",
        )  # fmt: skip


def _tables(connection: sqlite3.Connection) -> Iterator[_Table]:
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (name,) in names.fetchall():
        if name in _WITHOUT_PEOPLE:
            continue
        info = connection.execute(f"PRAGMA table_info({name})").fetchall()
        columns = tuple(row[1] for row in info)
        keys = tuple(row[1] for row in info if row[5])
        texts = tuple(row[1] for row in info if row[2] == "TEXT" and not is_structure(row[1]))
        yield _Table(name, columns, keys, texts)


def _delete(connection: sqlite3.Connection, table: _Table, scrubber: Scrubber) -> int:
    count = connection.execute(
        f"DELETE FROM {table.name} WHERE session_id IN (SELECT session_id FROM own_sessions)"
    ).rowcount
    if {"user_id", "chat_id", "stage"} <= set(table.columns):
        count += connection.execute(
            f"DELETE FROM {table.name} WHERE session_id = ? AND ? IN (user_id, chat_id)",
            (SHARED_SESSION, scrubber.number),
        ).rowcount
    return count


def _scrub(connection: sqlite3.Connection, table: _Table, scrubber: Scrubber) -> int:
    """Looks for rows that may hold an id, and takes it out of those that do.

    Their `seq` stays: readers are told to start anew, and a row must not become young by it.
    """
    terms = [f"{name} = ?" for name in table.ids]
    values: list[object] = [scrubber.number] * len(terms)
    for name in table.texts:
        terms += [f"instr({name}, ?)"] * len(scrubber.needles)
        values += scrubber.needles
    if not terms or not table.keys:
        return 0
    query = f"SELECT {', '.join(table.keys)} FROM {table.name} WHERE {' OR '.join(terms)}"
    keys = connection.execute(query, values).fetchall()
    count = 0
    for key in keys:
        changes = _changes(connection, table, key, scrubber)
        if changes:
            _update(connection, table, key, changes)
            count += 1
    return count


def _changes(connection: sqlite3.Connection, table: _Table, key: tuple[Any, ...], scrubber: Scrubber) -> dict[str, Any]:
    row = connection.execute(f"SELECT * FROM {table.name} WHERE {table.where_key}", key).fetchone()
    before = dict(zip(table.columns, row, strict=True))
    after = scrubber.record(before, ROW)
    return {name: after[name] for name in before if after[name] != before[name]}


def _update(connection: sqlite3.Connection, table: _Table, key: tuple[Any, ...], changes: dict[str, Any]) -> None:
    assignments = ", ".join(f"{name} = ?" for name in changes)
    # OR REPLACE: two session ids that differ in the person alone become one.
    connection.execute(
        f"UPDATE OR REPLACE {table.name} SET {assignments} WHERE {table.where_key}", [*changes.values(), *key]
    )


@contextmanager
def _any_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Text of an adopted database need not be UTF-8; it can be looked at all the same."""
    factory, connection.text_factory = connection.text_factory, lambda data: data.decode("utf-8", "replace")
    try:
        yield
    finally:
        connection.text_factory = factory
