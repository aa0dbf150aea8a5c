"""Owns the DuckDB side: hot rows brought over by cursor, cold ones where they lie, and running statements. It never opens the SQLite file."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from otel_metrics.analytics.cold import MOVING, quoted, view_of
from otel_metrics.analytics.columns import TABLES
from otel_metrics.analytics.hot import Progress, create_tables, load
from otel_metrics.analytics.statements import PRELUDE, VIEWS
from otel_metrics.errors import StoreDamaged
from otel_metrics.store.accounts import Account
from otel_metrics.store.segments import Segment, listed
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.store.telling import REPAIR


@dataclass(slots=True)
class Rows:
    """The answer to a question: column names and rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def as_dicts(self) -> list[dict[str, Any]]:
        """One dict for each row."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Engine:
    """An in-memory DuckDB that follows one store. A refresh reads only hot rows that are new or have changed.

    It can open the files of the segments and no other ones; where the manifest changes, another DuckDB is made.
    """

    def __init__(self, storage: MetricsStorage | None) -> None:
        self._storage = storage
        self._mutex = threading.RLock()
        self._seq = 0
        self._deletions = 0
        self._generation = 0
        self.connection = _opened([], Path())

    def refresh(self, progress: Progress | None = None) -> None:
        """Brings over what has come or changed since the last time, as of one moment; nothing if there is no database."""
        if self._storage is None or not self._storage.exists():
            return
        with self._mutex, self._storage.reading() as source:
            if source.execute("PRAGMA user_version").fetchone()[0] == 0:
                return
            counters: dict[str, int] = dict(source.execute("SELECT name, value FROM counters").fetchall())
            if counters["generation"] != self._generation:
                self._follow_manifest(listed(source))
                self._generation = counters["generation"]
            elif counters["deletions"] != self._deletions:
                self._empty()
            self._deletions = counters["deletions"]
            for table in TABLES.values():
                if table.whole:
                    self.connection.execute(f"DELETE FROM hot.{table.name}")
                    load(self.connection, source, table)
                elif counters["seq"] > self._seq:
                    load(
                        self.connection, source, table, where="seq > :seq", parameters={"seq": self._seq},
                        replaces=self._seq > 0, progress=progress,
                    )  # fmt: skip
            self._seq = counters["seq"]

    def _follow_manifest(self, segments: Sequence[Segment]) -> None:
        """Another DuckDB over the segments that there are now: one that is open can not be given further files."""
        folder = self._storage.layout.segments_folder if self._storage else Path()
        with _blaming_segments(folder):
            before, self.connection = self.connection, _opened(segments, folder)
        before.close()
        self._seq = 0

    def _empty(self) -> None:
        for table in TABLES.values():
            self.connection.execute(f"DELETE FROM hot.{table.name}")
        self._seq = 0

    def run(self, statement: str, parameters: dict[str, Any] | None = None) -> Rows:
        """Runs one statement of ours; `$name` are its parameters. `StoreDamaged` where a segment can not be read."""
        folder = self._storage.layout.segments_folder if self._storage else Path()
        with self._mutex, _blaming_segments(folder):
            cursor = self.connection.execute(statement, parameters or {})
            return Rows([column[0] for column in cursor.description or ()], cursor.fetchall())

    def account(self) -> Account:
        """Where every record is that was ever emitted into the store; all zeros where there is none."""
        if self._storage is None or not self._storage.exists():
            return Account()
        return self._storage.account()

    def close(self) -> None:
        """Lets the memory go."""
        with self._mutex:
            self.connection.close()


def _opened(segments: Sequence[Segment], folder: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB with empty hot tables and the views over them and these segments, which can open no other file."""
    connection = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")
    create_tables(connection)
    connection.execute("CREATE SCHEMA cold")
    for table in MOVING:
        connection.execute(view_of(table, folder, [one for one in segments if one.table == table.name]))
    for script in (*PRELUDE, *VIEWS):
        connection.execute(script)
    connection.execute(f"SET allowed_paths = [{', '.join(quoted(folder / one.name) for one in segments)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


@contextmanager
def _blaming_segments(folder: Path) -> Iterator[None]:
    """What DuckDB says of a file of ours that it can not read, in our words."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        if ".parquet" not in text or folder.name not in text:
            raise
        raise StoreDamaged(
            f"a segment in {folder} can not be read ({text.strip().splitlines()[0]})", "a sound Parquet file", REPAIR
        ) from error
