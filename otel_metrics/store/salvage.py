"""Owns what can still be read of a damaged database: it is copied into the sound one, around what is unreadable."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from otel_metrics.store.belongings import SHARED_SESSION
from otel_metrics.store.database import next_seq
from otel_metrics.store.soundness import Columns, columns_of, tables, unsound
from otel_metrics.store.tombstones import Tombstones

_KEYS = {
    "sessions": "session_id", "processing_metrics": "metric_id", "correction_metrics": "correction_id",
    "spans": "record_id", "running": "metric_id", "processes": "process", "logs": "id", "system_metrics": "id",
}  # fmt: skip
_TIMES = ("end_time", "start_time", "timestamp", "started_at")
_PEOPLE = ("user_id", "chat_id", "admin_user_id")
_NUMBERED = ("logs", "system_metrics")
"""Tables whose key is only a number, which does not tell whether a row is there already."""
_UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
_WINDOW = 1024
_MOST_FAILURES = 20_000
_MERGE = (
    "ON CONFLICT (session_id) DO UPDATE SET user_id = excluded.user_id, chat_id = excluded.chat_id, "
    "started_at = excluded.started_at, metadata = excluded.metadata, ended_at = coalesce(ended_at, excluded.ended_at), "
    "outcome = coalesce(outcome, excluded.outcome), seq = excluded.seq WHERE sessions.metadata IS NULL"
)
"""A session that the journal knows by its stages alone: what its own row told is better."""


@dataclass(slots=True)
class Salvaged:
    """How many rows came back, by table, and how many places could not be read."""

    rows: dict[str, int] = field(default_factory=dict)
    unreadable: int = 0


def salvage(damaged: Path, connection: sqlite3.Connection, until: str, tombstones: Tombstones | None) -> Salvaged:
    """Copies from a database that was set aside what the tables do not have. Call inside a transaction.

    Rows that can not be right are left where they are, and those of people who were forgotten. `until` is the time,
    ISO-8601 UTC, from which on the log has everything; empty where there is no log.
    """
    salvaged = Salvaged()
    forgotten: set[str] = set()
    with _opened(damaged) as source:
        for table in _KEYS if source is not None else ():
            columns = {name: kind for name, kind in tables()[table].items() if name != "seq"}
            assert source is not None
            here = _columns_here(source, table, columns)
            if here:
                reader = _Reader(source, table, here)
                _stage(connection, columns, here, reader.rows())
                salvaged.unreadable += reader.unreadable
                _clean(connection, columns, tombstones, forgotten)
                if count := _take(connection, table, columns, until):
                    salvaged.rows[table] = count
    return salvaged


def _columns_here(source: sqlite3.Connection, table: str, columns: Columns) -> list[str]:
    """Those that the damaged table has too; where that can not be told, all are tried."""
    try:
        there = columns_of(source, table)
    except _UNREADABLE:
        return list(columns)
    return [name for name in columns if name in there]


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The damaged database as far as it can be opened; without what its write-ahead log holds if that is in the way."""
    for options in ("mode=ro", "mode=ro&immutable=1"):
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?{options}", uri=True)) as source:
            try:
                source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except _UNREADABLE:
                continue
            yield source
            return
    yield None


class _Reader:
    """Reads a table in windows of its numbers, smaller ones around what can not be read."""

    def __init__(self, source: sqlite3.Connection, table: str, names: list[str]) -> None:
        self.unreadable = 0
        self._source = source
        self._table = table
        self._names = ", ".join(names)
        self._failures = 0

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Everything that can be read, some of it perhaps twice."""
        if self._table in _NUMBERED:
            yield from self._by_number(self._table, "id")
            return
        if "seq" in tables()[self._table]:
            yield from self._by_number(f"{self._table} INDEXED BY {self._table}_seq", "seq")
            if not self._failures:
                return
        for direction in ("ASC", "DESC"):
            yield from self._in_order(direction)

    def _by_number(self, source: str, number: str) -> Iterator[tuple[Any, ...]]:
        start: int | None = self._next(source, number, -1)
        while start is not None and self._failures < _MOST_FAILURES:
            yield from self._window(source, number, start, start + _WINDOW - 1)
            start = self._next(source, number, start + _WINDOW - 1)

    def _next(self, source: str, number: str, after: int) -> int | None:
        """The first number behind one that was read; where that can not be told, simply the next."""
        try:
            found = self._source.execute(f"SELECT min({number}) FROM {source} WHERE {number} > ?", (after,)).fetchone()[
                0
            ]
        except _UNREADABLE:
            self._failures += 1
            return after + 1
        return found if isinstance(found, int) and found < 1 << 62 else None

    def _window(self, source: str, number: str, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        query = f"SELECT {self._names} FROM {source} WHERE {number} BETWEEN ? AND ?"
        try:
            yield from self._source.execute(query, (first, last)).fetchall()
        except _UNREADABLE:
            self._failures += 1
            if first == last or self._failures >= _MOST_FAILURES:
                self.unreadable += 1
                return
            middle = (first + last) // 2
            yield from self._window(source, number, first, middle)
            yield from self._window(source, number, middle + 1, last)

    def _in_order(self, direction: str) -> Iterator[tuple[Any, ...]]:
        """From one end as far as it goes."""
        key = _KEYS[self._table]
        try:
            yield from self._source.execute(f"SELECT {self._names} FROM {self._table} ORDER BY {key} {direction}")
        except _UNREADABLE:
            self.unreadable += 1


def _stage(connection: sqlite3.Connection, columns: Columns, names: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    connection.execute("DROP TABLE IF EXISTS temp.staged")
    connection.execute(f"CREATE TEMP TABLE staged ({declared})")
    connection.executemany(f"INSERT INTO staged ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", rows)


def _clean(
    connection: sqlite3.Connection, columns: Columns, tombstones: Tombstones | None, forgotten: set[str]
) -> None:
    """Takes out what can not be right, and who was forgotten; their sessions are noted for the tables that follow."""
    connection.execute(f"DELETE FROM staged WHERE {unsound(columns)}")
    if not tombstones:
        return
    moment = f"coalesce({', '.join([*(name for name in _TIMES if name in columns), repr('')])})"
    for name in (one for one in _PEOPLE if one in columns):
        for (person,) in connection.execute(f"SELECT DISTINCT {name} FROM staged").fetchall():
            if person and (until := tombstones._until_of(person)):
                where = f"{name} = ? AND {moment} <= ?"
                if "started_at" in columns and "session_id" in columns:  # the row of a session says whose it is
                    found = connection.execute(f"SELECT session_id FROM staged WHERE {where}", (person, until))
                    forgotten.update(row[0] for row in found if row[0] != SHARED_SESSION)
                connection.execute(f"DELETE FROM staged WHERE {where}", (person, until))
    if "session_id" in columns:
        connection.executemany("DELETE FROM staged WHERE session_id = ?", [(one,) for one in forgotten])


def _take(connection: sqlite3.Connection, table: str, columns: Columns, until: str) -> int:
    """Puts the staged rows into the table, as far as they are not there; gives how many."""
    if table in _NUMBERED:
        _drop_known(connection, table, until)
    if table == "running":
        connection.execute("DELETE FROM staged WHERE metric_id IN (SELECT metric_id FROM processing_metrics)")
    names = [name for name in columns if not (name == "id" and table in _NUMBERED)]
    values, into = ", ".join(names), ", ".join(names)
    if "seq" in tables()[table]:
        count = connection.execute("SELECT count(*) FROM staged").fetchone()[0]
        values += f", {next_seq(connection, count)} + row_number() OVER (ORDER BY rowid)"
        into += ", seq"
    conflict = _MERGE if table == "sessions" else ""
    verb = "INSERT" if conflict else "INSERT OR IGNORE"
    return connection.execute(
        f"{verb} INTO {table} ({into}) SELECT {values} FROM staged WHERE true {conflict}"
    ).rowcount


def _drop_known(connection: sqlite3.Connection, table: str, until: str) -> None:
    """A row whose content is damaged can not be told by it from the one that the log gave: its time and place must tell.

    Rows stand in the order in which they came. One that is old alone among younger ones has a damaged time.
    """
    if until:
        connection.execute(
            "DELETE FROM staged WHERE rowid > (SELECT coalesce(max(rowid), 0) FROM ("
            "SELECT rowid, timestamp < :until AS old, lag(timestamp < :until, 1, 1) OVER (ORDER BY rowid) AS before "
            "FROM staged) WHERE old AND before) OR timestamp >= :until",
            {"until": until},
        )
    connection.execute(f"DELETE FROM staged WHERE timestamp IN (SELECT timestamp FROM {table})")
