"""Owns the writing of one segment by DuckDB: a file of its own, whole and on the disk before anybody counts on it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import duckdb

from otel_metrics.analytics.cold import COPY_OPTIONS, packed, quoted
from otel_metrics.analytics.columns import Table
from otel_metrics.analytics.hot import create_tables
from otel_metrics.errors import StoreDamaged, StoreError
from otel_metrics.model.times import iso
from otel_metrics.store.journal_files import sync_folder
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.moving import TIME_OF
from otel_metrics.store.segments import Segment, draft_name, keep_draft, spill_folder, store_number
from otel_metrics.store.telling import REPAIR


class SegmentWriter:
    """A DuckDB that makes segments of one store. Use it while holding the drain lock, in a `with` of `writer_of`."""

    def __init__(self, worker: duckdb.DuckDBPyConnection, connection: sqlite3.Connection, layout: StoreLayout) -> None:
        self.worker = worker
        self.layout = layout
        self._store = store_number(connection)
        self._made: list[Path] = []

    def write_days(self, table: Table) -> Iterator[Segment]:
        """A segment for each UTC day of the rows in the worker's `hot.<table>`."""
        moment = TIME_OF[table.name]
        days = self.worker.execute(
            f"SELECT DISTINCT CAST({moment} AS DATE) FROM hot.{table.name} ORDER BY 1"
        ).fetchall()
        for (day,) in days:
            where = "true" if len(days) == 1 else f"CAST({moment} AS DATE) = DATE '{day}'"
            yield self.write(table, str(day), packed(table, f"hot.{table.name}", where))

    def write(self, table: Table, day: str, select: str) -> Segment:
        """Writes the rows of `select` into one file; until it stands in the manifest it counts for nothing."""
        draft = self.layout.segments_folder / draft_name(self._store, table.name, day)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            self.worker.execute(f"COPY ({select}) TO {quoted(draft)} ({COPY_OPTIONS})")
            _sync(draft)
            moment = TIME_OF[table.name]
            rows, first, last = self.worker.execute(
                f"SELECT count(*), epoch_us(min({moment})), epoch_us(max({moment})) FROM read_parquet({quoted(draft)})"
            ).fetchall()[0]
            path = keep_draft(draft)
            self._made.append(path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise
        return Segment(path.name, table.name, day, rows, path.stat().st_size, iso(first * 1000), iso(last * 1000))

    def take_back(self) -> None:
        """Removes what was made in vain: the disk may be full."""
        for path in self._made:
            with suppress(OSError):
                path.unlink()

    def done(self) -> None:
        """Brings the names of the new files to the disk. Call before they are entered into the manifest."""
        sync_folder(self.layout.segments_folder)


@contextmanager
def writer_of(connection: sqlite3.Connection, layout: StoreLayout) -> Iterator[SegmentWriter]:
    """A DuckDB with empty hot tables, and the folder of the segments; DuckDB's errors come in our words.

    Where the block fails, the segments that it made go. So enter them into the manifest behind it, not in it.
    """
    folder = layout.segments_folder
    if not folder.is_dir():
        folder.mkdir(mode=0o700)
        sync_folder(folder.absolute().parent)
    with telling_of_segments(folder), closing(duckdb.connect(":memory:", config=_CONFIG)) as worker:
        worker.execute("SET TimeZone = 'UTC'")
        worker.execute("SET enable_progress_bar = false")
        create_tables(worker)
        worker.execute(f"SET temp_directory = {quoted(spill_folder(layout))}")
        writer = SegmentWriter(worker, connection, layout)
        try:
            yield writer
        except BaseException:
            writer.take_back()
            raise


@contextmanager
def telling_of_segments(folder: Path) -> Iterator[None]:
    """What DuckDB says of files that it can not write or read, in our words."""
    try:
        yield
    except duckdb.Error as error:
        text = " ".join(str(error).split())
        if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException) and not is_of_reading(text):
            raise StoreError(
                f"segments in {folder} could not be written ({text})", "a disk with room for them",
                "make room, then try again; all rows are where they were",
            ) from error  # fmt: skip
        if ".parquet" in text and folder.name in text:
            raise StoreDamaged(f"a segment can not be read ({text})", "a sound Parquet file", REPAIR) from error
        raise


def is_of_reading(text: str) -> bool:
    """Whether an error of DuckDB is about a file that is gone or is no Parquet file."""
    return "No files found" in text or "Cannot open file" in text or "magic bytes" in text or "too small" in text


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
