"""Owns the writing of segments: one Parquet file for a table and a day, whole and on the disk before anybody counts on it."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb

from otel_metrics.analytics.cold import COPY_OPTIONS, packed, quoted
from otel_metrics.analytics.columns import Table
from otel_metrics.model.times import iso
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.moving import TIME_OF
from otel_metrics.store.segments import Segment, new_name, store_number


class SegmentWriter:
    """Writes files into the folder of a store's segments. They count from when they stand in the manifest."""

    def __init__(self, layout: StoreLayout, manifest: sqlite3.Connection) -> None:
        self._folder = layout.segments_folder
        self._store = store_number(manifest)
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def write_days(self, worker: duckdb.DuckDBPyConnection, table: Table) -> Iterator[Segment]:
        """A segment for each UTC day of the rows in the worker's `hot.<table>`."""
        moment = TIME_OF[table.name]
        days = worker.execute(f"SELECT DISTINCT CAST({moment} AS DATE) FROM hot.{table.name} ORDER BY 1").fetchall()
        for (day,) in days:
            where = "true" if len(days) == 1 else f"CAST({moment} AS DATE) = DATE '{day}'"
            yield self.write(worker, table, str(day), packed(table, f"hot.{table.name}", where))

    def write(self, worker: duckdb.DuckDBPyConnection, table: Table, day: str, select: str) -> Segment:
        """One file of what a SELECT gives, in the form of `packed`, brought to the disk."""
        path = self._folder / new_name(self._store, table.name, day)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        worker.execute(f"COPY ({select}) TO {quoted(path)} ({COPY_OPTIONS})")
        _sync(path)
        moment = TIME_OF[table.name]
        ((rows, first, last),) = worker.execute(
            f"SELECT count(*), epoch_us(min({moment})), epoch_us(max({moment})) FROM read_parquet({quoted(path)})"
        ).fetchall()
        return Segment(path.name, table.name, day, rows, path.stat().st_size, iso(first * 1000), iso(last * 1000))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
