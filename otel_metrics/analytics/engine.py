"""Owns the DuckDB side: hot rows brought over by cursor, the views, and running statements. It never opens the SQLite file."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import duckdb
import nanoarrow as na

from otel_metrics.analytics.columns import FLAG, INTEGER, REAL, TABLES, TIME, Table
from otel_metrics.analytics.statements import VIEWS
from otel_metrics.store.tables import MetricsStorage

_READ = {
    # A time that a damaged disk made unreadable is the first moment there is: it does not keep a table from being read.
    TIME: "CASE WHEN {0} IS NOT NULL THEN coalesce(TRY_CAST({0} AS TIMESTAMP), TIMESTAMP 'epoch') END",
    FLAG: "CAST({0} AS BOOLEAN)",
}
_BATCH = 50_000
_ARROW = {INTEGER: na.int64(), REAL: na.float64(), FLAG: na.int64()}
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Rows:
    """The answer to a question: column names and rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def as_dicts(self) -> list[dict[str, Any]]:
        """One dict for each row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Engine:
    """An in-memory DuckDB that follows one store. A refresh reads only rows that are new or have changed."""

    def __init__(self, storage: MetricsStorage | None) -> None:
        self._storage = storage
        self._mutex = threading.RLock()
        self._seq = 0
        self._deletions = -1
        self._figures_only = True
        self.connection = duckdb.connect(
            ":memory:",
            config={
                "enable_external_access": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("CREATE SCHEMA hot")
        for table in TABLES.values():
            columns = ", ".join(f"{name} {kind}" for name, kind in table.columns.items())
            self.connection.execute(f"CREATE TABLE hot.{table.name} ({columns})")
        for view in VIEWS:
            self.connection.execute(view)
        self.connection.execute("SET lock_configuration = true")

    def refresh(self, progress: Progress | None = None, *, figures_only: bool = False) -> None:
        """Brings over what has come or changed since the last time, as of one moment; nothing if there is no database.

        `figures_only` is enough for the dashboard, as long as nothing else has been asked.
        """
        if self._storage is None or not self._storage.exists():
            return
        with self._mutex, self._storage.reading() as source:
            if source.execute("PRAGMA user_version").fetchone()[0] == 0:
                return
            counters = dict(source.execute("SELECT name, value FROM counters").fetchall())
            if counters["deletions"] != self._deletions or (self._figures_only and not figures_only):
                self._start_anew()
                self._deletions = counters["deletions"]
                self._figures_only = figures_only
            for table in TABLES.values():
                if self._figures_only and not table.figures:
                    continue
                if table.whole:
                    self.connection.execute(f"DELETE FROM hot.{table.name}")
                    self._load(source, table, "", ())
                elif counters["seq"] > self._seq:
                    self._load(source, table, " WHERE seq > ?", (self._seq,), progress)
            self._seq = counters["seq"]

    def _start_anew(self) -> None:
        self._seq = 0
        for table in TABLES.values():
            self.connection.execute(f"DELETE FROM hot.{table.name}")

    def _load(
        self, source: sqlite3.Connection, table: Table, where: str, parameters: tuple[int, ...],
        progress: Progress | None = None,
    ) -> None:  # fmt: skip
        total = source.execute(f"SELECT count(*) FROM {table.name}{where}", parameters).fetchone()[0] if progress else 0
        names = table.figures if self._figures_only else tuple(table.columns)
        cursor = source.execute(f"SELECT {', '.join(names)} FROM {table.name}{where}", parameters)
        done = 0
        for rows in _batches(cursor):
            self._insert(table, names, rows)
            done += len(rows)
            if progress:
                progress(done, total)

    def _insert(self, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        kinds = {name: table.columns[name] for name in names}
        batch = _arrow_batch(kinds, rows)
        self.connection.register("batch", batch)
        try:
            if table.key and self._seq:
                self.connection.execute(
                    f"DELETE FROM hot.{table.name} WHERE {table.key} IN (SELECT {table.key} FROM batch)"
                )
            columns = ", ".join(_READ.get(kind, "{}").format(name) for name, kind in kinds.items())
            self.connection.execute(f"INSERT INTO hot.{table.name} ({', '.join(names)}) SELECT {columns} FROM batch")
        finally:
            self.connection.unregister("batch")

    def run(self, statement: str, parameters: dict[str, Any] | None = None) -> Rows:
        """Runs one statement of ours; `$name` are its parameters."""
        with self._mutex:
            cursor = self.connection.execute(statement, parameters or {})
            return Rows([column[0] for column in cursor.description or ()], cursor.fetchall())

    def close(self) -> None:
        """Lets the memory go."""
        with self._mutex:
            self.connection.close()


def _batches(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    while rows := list(islice(cursor, _BATCH)):
        yield rows


def _arrow_batch(columns: dict[str, str], rows: Sequence[tuple[Any, ...]]) -> na.Array:
    """Rows as one Arrow struct array, whose columns DuckDB reads where they lie."""
    kinds = {name: _ARROW.get(kind, na.string()) for name, kind in columns.items()}
    children = [na.c_array(values, kind) for values, kind in zip(zip(*rows, strict=True), kinds.values(), strict=True)]
    return na.Array(na.c_array_from_buffers(na.struct(kinds), len(rows), buffers=[None], children=children))
