"""Owns the DuckDB side: hot rows brought over by cursor, cold ones where they lie, and running statements. It never opens the SQLite file."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from otel_metrics.analytics.asking import Rows
from otel_metrics.analytics.cold import MOVING, make_view, quoted, view_of_nothing
from otel_metrics.analytics.columns import TABLES
from otel_metrics.analytics.drawn import DrawnTables
from otel_metrics.analytics.hot import Progress, create_tables, load
from otel_metrics.analytics.statements import PRELUDE, VIEWS, parameters_of
from otel_metrics.errors import StoreDamaged
from otel_metrics.store.accounts import Account
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.segments import Segment, listed, missing_or_broken, spill_folder
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.store.telling import REPAIR

_MOST_TRIES = 5
_BATCH = 10_000
_MOST_MEMORY_BYTES = 700_000_000
_OF_THE_STATEMENT = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the questions to one engine may use; more of it goes to the disk if it `spills`, else it is refused."""

    bytes: int
    spills: bool = True


class Engine:
    """An in-memory DuckDB that follows one store. A refresh reads only hot rows that are new or have changed.

    It can open the files of the segments and no other ones; where the manifest changes, another DuckDB is made.
    """

    lacks: frozenset[str] = frozenset()

    def __init__(self, storage: MetricsStorage | None, memory: Memory | None = None) -> None:
        """`memory`: 700 MB if it is not given, or half of the machine's where that is less."""
        self._storage = storage
        self._memory = memory or Memory(_most_memory())
        self._mutex = threading.RLock()
        self._seq = 0
        self._deletions = 0
        self._manifest = (0, 0)
        self._segments: list[Segment] = []
        self._faults: list[str] = []
        self.connection, _ = _opened([], None, self._memory)
        self._drawn = DrawnTables(self.connection)

    def refresh(self, progress: Progress | None = None) -> None:
        """Brings over what has come or changed since the last time, as of one moment; nothing if there is no database."""
        if self._storage is None or not self._storage.exists():
            return
        with self._mutex:
            self._drawn.forget()  # for good: the next question has another window, and until then they would fill the memory
            for _ in range(_MOST_TRIES):
                self._take_over(self._storage, progress)
                # Somebody who is forgotten goes at once: a file of the manifest that was read may be gone by now.
                if not self._faults or not self._has_changed(self._storage):
                    return

    def _take_over(self, storage: MetricsStorage, progress: Progress | None) -> None:
        with storage.reading() as source:
            if source.execute("PRAGMA user_version").fetchone()[0] == 0:
                return
            counters: dict[str, int] = dict(source.execute("SELECT name, value FROM counters").fetchall())
            if _manifest(counters) != self._manifest:
                self._follow_manifest(storage.layout, listed(source))
                self._manifest = _manifest(counters)
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

    def _has_changed(self, storage: MetricsStorage) -> bool:
        with storage.reading() as source:
            return _manifest(dict(source.execute("SELECT name, value FROM counters").fetchall())) != self._manifest

    def _follow_manifest(self, layout: StoreLayout, segments: list[Segment]) -> None:
        """Another DuckDB over the segments that there are now: one that is open can not be given further files."""
        before = self.connection
        self.connection, self._faults = _opened(segments, layout, self._memory)
        self._drawn = DrawnTables(self.connection)
        self._segments = segments
        before.close()
        self._seq = 0

    def _empty(self) -> None:
        for table in TABLES.values():
            self.connection.execute(f"DELETE FROM hot.{table.name}")
        self._seq = 0

    def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Runs one statement of ours; `$name` are its parameters. `StoreDamaged` where a segment can not be read."""
        rows: Rows = self._asked(lambda: self._run(statement, dict(parameters or {})))
        return rows

    def run_free(self, query: str, most: int | None = None) -> Rows:
        """Runs a statement of somebody else's, who names no drawn tables; of the rows the first `most`."""
        rows: Rows = self._asked(lambda: self._fetch(query, {}, most))
        return rows

    def hand_over(self, statement: str, take: Callable[[Any], Any]) -> Any:
        """What `take` makes of DuckDB's relation over a statement without parameters, whole before this returns."""
        return self._asked(lambda: take(self.connection.sql(statement)))

    def stream(self, statement: str, parameters: Mapping[str, Any]) -> Iterator[Sequence[tuple[Any, ...]]]:
        """The rows of one statement of ours that wants no drawn table, in batches: they need not fit into the memory."""
        cursor = self.connection.cursor()
        cursor.execute(statement, dict(parameters))
        while batch := cursor.fetchmany(_BATCH):
            yield batch

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """The answer, of the segments that there are: one of the manifest that was read may be gone by now."""
        with self._mutex:
            try:
                with self.blaming_segments():
                    return ask()
            except StoreDamaged:
                if self._storage is None or not self._has_changed(self._storage):
                    raise
            self.refresh()
            with self.blaming_segments():
                return ask()

    @contextmanager
    def blaming_segments(self) -> Iterator[None]:
        """What DuckDB raises over a segment that it can not read is `StoreDamaged`, with the file's name."""
        try:
            yield
        except RuntimeError as error:
            if str(error) == "Query interrupted":  # DuckDB's words for Ctrl-C, which others have their own ways with
                raise KeyboardInterrupt from error
            raise
        except duckdb.Error as error:
            fault = self._fault_behind(error)
            if not fault:
                raise
            raise StoreDamaged(fault, "a sound Parquet file", REPAIR) from error

    def check_segments(self, table: str) -> None:
        """Raises `StoreDamaged` where a segment of a table is not what was written: a flipped bit reads as another value.

        Reads the files whole: for who reads all of them anyway.
        """
        if self._storage is not None:
            own = [one for one in self._segments if one.table == table]
            for fault in missing_or_broken(self._storage.layout, own).values():
                raise StoreDamaged(fault, "a sound Parquet file", REPAIR)

    def _run(self, statement: str, given: dict[str, Any]) -> Rows:
        self._drawn.draw(statement, given)
        return self._fetch(statement, {name: given[name] for name in parameters_of(statement) if name in given}, None)

    def _fetch(self, statement: str, parameters: dict[str, Any], most: int | None) -> Rows:
        cursor = self.connection.execute(statement, parameters)
        rows = cursor.fetchall() if most is None else cursor.fetchmany(most)
        return Rows([column[0] for column in cursor.description or ()], rows)

    def _fault_behind(self, error: duckdb.Error) -> str:
        """What is wrong with a segment, where that may be why; DuckDB does not always name the file."""
        known = next((fault for fault in self._faults if fault in str(error)), "")
        if known or not self._segments or self._storage is None or isinstance(error, _OF_THE_STATEMENT):
            return known
        return next(iter(missing_or_broken(self._storage.layout, self._segments).values()), "")

    def account(self) -> Account:
        """Where every record is that was ever emitted into the store; all zeros where there is none."""
        if self._storage is None or not self._storage.exists():
            return Account()
        return self._storage.account()

    def close(self) -> None:
        """Lets the memory go."""
        with self._mutex:
            self.connection.close()


def _manifest(counters: Mapping[str, int]) -> tuple[int, int]:
    """Which manifest it is: that of another database beside the same log may have the same number."""
    return counters["store"], counters["generation"]


def _most_memory() -> int:
    return min(_MOST_MEMORY_BYTES, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)


def _opened(
    segments: Sequence[Segment], layout: StoreLayout | None, memory: Memory
) -> tuple[duckdb.DuckDBPyConnection, list[str]]:
    """A DuckDB with empty hot tables and the views over them and these segments, which can open no other file.

    Also what is wrong with segments: the tables that they are of can not be asked, the others can.
    """
    connection = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute("SET enable_progress_bar = false")  # it would go to standard output, into the JSON there
    if not memory.spills:
        connection.execute(f"SET memory_limit = '{memory.bytes}B'")
        connection.execute("SET temp_directory = ''")
        connection.execute("SET threads = 2")
    elif layout and segments:  # a large store must not take all of a small machine: what does not fit goes to the disk
        connection.execute(f"SET memory_limit = '{memory.bytes}B'")
        connection.execute(f"SET temp_directory = {quoted(spill_folder(layout))}")
    create_tables(connection)
    connection.execute("CREATE SCHEMA cold")
    folder = layout.segments_folder if layout else Path()
    faults = []
    for table in MOVING:
        own = [one for one in segments if one.table == table.name]
        try:
            make_view(connection, table, folder, own)
        except duckdb.Error as error:
            known = missing_or_broken(layout, own) if layout else {}
            fault = next(iter(known.values()), f"a segment in {folder} can not be read ({str(error).splitlines()[0]})")
            connection.execute(view_of_nothing(table, fault))
            faults.append(fault)
    for script in (*PRELUDE, *VIEWS):
        connection.execute(script)
    connection.execute(f"SET allowed_paths = [{', '.join(quoted(folder / one.name) for one in segments)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection, faults
