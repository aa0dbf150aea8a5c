"""Owns the move of hot rows into segments: files first, whole and on the disk; then manifest and deletion in one transaction."""

import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

import duckdb

from otel_metrics.analytics.cold import MOVING, scan
from otel_metrics.analytics.columns import Table
from otel_metrics.analytics.hot import Progress, create_tables, load
from otel_metrics.analytics.segments import SegmentWriter
from otel_metrics.model.times import iso
from otel_metrics.settings import Settings
from otel_metrics.store.archive import archive, digest_of
from otel_metrics.store.database import note_deletions, roll_back
from otel_metrics.store.journal_files import sync_folder
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.moving import TIME_OF, Movable, hot_rows, step_end
from otel_metrics.store.segments import Segment, enter, listed, retire, sweep
from otel_metrics.store.tables import MetricsStorage

_STEP_ROWS = 1_000_000
_MOST_OF_A_DAY = 8
_LEFT_FREE_BYTES = 32 << 20
_GIVEN_BACK_BYTES = 8 << 20
_NS_PER_H = 3_600_000_000_000


@dataclass(slots=True)
class Compacted:
    """What one compaction did: rows moved by table, segments made and merged, bytes of the new ones."""

    rows: dict[str, int] = field(default_factory=dict)
    segments: int = 0
    merged: int = 0
    bytes: int = 0


class Compaction:
    """One compaction of a store. Use it while holding the drain lock: then nobody else changes a row."""

    def __init__(
        self, connection: sqlite3.Connection, layout: StoreLayout, *, now_ns: int, timeout_hours: float
    ) -> None:
        self._source = connection
        self._layout = layout
        self._now_ns = now_ns
        self._idle_since = iso(max(0, now_ns - round(timeout_hours * _NS_PER_H)))
        self._writer = SegmentWriter(layout, connection)
        self._done = Compacted()

    def run(self, progress: Progress | None = None) -> Compacted:
        """Moves every row that may move, about a million at a time, then makes one segment of a day's many."""
        sweep(self._source, self._layout, self._now_ns)
        last = step_end(self._source, 1 << 60)
        end = 0
        while end < last:
            end = step_end(self._source, _STEP_ROWS)
            movable = Movable(min(end, last), self._idle_since)
            if not self._move(movable):
                break
            if progress:
                progress(end, last)
        self._merge()
        self._shrink()
        self._source.execute(
            "INSERT INTO counters VALUES ('left_hot', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (hot_rows(self._source),),
        )
        return self._done

    def _move(self, movable: Movable) -> bool:
        """One step; False where nothing was to be moved."""
        movable.prepare(self._source)
        with closing(_worker()) as worker:
            create_tables(worker)
            counts = {
                table.name: load(
                    worker, self._source, table, where=movable.where(table.name), parameters=movable.parameters
                )
                for table in MOVING
            }
            if not any(counts.values()):
                return False
            segments = self._exchange(worker, movable, counts)
        for name, count in counts.items():
            self._done.rows[name] = self._done.rows.get(name, 0) + count
        self._done.segments += len(segments)
        self._done.bytes += sum(one.bytes for one in segments)
        return True

    def _exchange(self, worker: duckdb.DuckDBPyConnection, movable: Movable, counts: dict[str, int]) -> list[Segment]:
        """Rows for files: the rows are deleted while the files are written, and all is taken back if either fails."""
        self._source.execute("PRAGMA secure_delete = FAST")  # what the pages held is in the files now: why overwrite it
        self._source.execute("BEGIN IMMEDIATE")
        try:
            with ThreadPoolExecutor(1, "otel_metrics compaction") as aside:
                deletion = aside.submit(movable.delete_all, self._source, counts)
                segments = [one for table in MOVING for one in self._writer.write_days(worker, table)]
                ended = self._ended(worker)
                deletion.result()
            sync_folder(self._layout.segments_folder)
            archive(self._source, ended)
            enter(self._source, segments)
            note_deletions(self._source)
            self._source.execute("COMMIT")
        except BaseException:
            roll_back(self._source)
            raise
        return segments

    def _ended(self, worker: duckdb.DuckDBPyConnection) -> list[tuple[str, str, bytes | None]]:
        """The sessions that have moved, each with the end that counts."""
        found = worker.execute(
            "SELECT s.session_id, CAST(CAST(s.ended_at AS DATE) AS VARCHAR), any_value(p.process), "
            "strftime(s.ended_at, '%Y-%m-%dT%H:%M:%S.%fZ') "
            "FROM hot.sessions AS s LEFT JOIN hot.spans AS p ON p.session_id = s.session_id AND p.end_time = s.ended_at "
            "AND p.scope = 'otel_metrics' AND coalesce(p.parent_span_id, '') = '' GROUP BY ALL"
        )
        return [(session, day, digest_of(process, end)) for session, day, process, end in found.fetchall()]

    def _merge(self) -> None:
        """A day that is over, or of which there are many segments, becomes one segment: reading many is slow."""
        today = iso(self._now_ns)[:10]
        days: dict[tuple[str, str], list[Segment]] = {}
        for one in listed(self._source):
            days.setdefault((one.table, one.day), []).append(one)
        for (name, day), segments in days.items():
            if len(segments) >= (2 if day < today else _MOST_OF_A_DAY):
                self._merge_day(next(table for table in MOVING if table.name == name), day, segments)

    def _merge_day(self, table: Table, day: str, segments: Sequence[Segment]) -> None:
        with closing(_worker()) as worker:
            files = scan(self._layout.segments_folder, segments)
            select = f"SELECT * FROM {files} ORDER BY {TIME_OF[table.name]}"
            whole = self._writer.write(worker, table, day, select)
        sync_folder(self._layout.segments_folder)
        self._source.execute("BEGIN IMMEDIATE")
        try:
            retire(self._source, [one.name for one in segments], self._now_ns)
            enter(self._source, [whole])
            self._source.execute("COMMIT")
        except BaseException:
            roll_back(self._source)
            raise
        self._done.merged += len(segments)

    def _shrink(self) -> None:
        """Gives space back to the disk, a piece at each time: it is slow, and the next rows will need some of it."""
        free, size = (
            int(self._source.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("freelist_count", "page_size")
        )
        if free * size > _LEFT_FREE_BYTES:
            self._source.executescript(f"PRAGMA incremental_vacuum({_GIVEN_BACK_BYTES // size})")
        self._source.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _worker() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def compact(
    storage: MetricsStorage, settings: Settings, *, wait_s: float, progress: Progress | None = None
) -> Compacted | None:
    """Moves what may move of a store's rows into segments; None where another process kept the tables for `wait_s`."""
    with storage.alone(wait_s) as connection:
        if connection is None:
            return None
        work = Compaction(
            connection, storage.layout, now_ns=time.time_ns(), timeout_hours=settings.session_timeout_hours
        )
        return work.run(progress)


def is_due(storage: MetricsStorage, most: int) -> bool:
    """Whether more than `most` rows have come since the last compaction."""
    if not most or not storage.exists():
        return False
    with storage.reading() as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            return False
        left = connection.execute("SELECT value FROM counters WHERE name = 'left_hot'").fetchone()
        return hot_rows(connection) > most + (left[0] if left else 0)
