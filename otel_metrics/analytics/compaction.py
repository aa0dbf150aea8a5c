"""Owns the move of hot rows into segments: files first, whole and on the disk; then manifest and deletion in one transaction."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import duckdb

from otel_metrics.analytics.cold import MOVING, scan
from otel_metrics.analytics.columns import Table
from otel_metrics.analytics.hot import Progress, load
from otel_metrics.analytics.segment_files import SegmentWriter, writer_of
from otel_metrics.model.times import iso
from otel_metrics.settings import Settings
from otel_metrics.store.archive import archive, digest_of
from otel_metrics.store.database import note_deletions, roll_back
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.moving import TIME_OF, Movable, hot_rows, step_end
from otel_metrics.store.segments import Segment, enter, listed, missing_or_broken, retire, sweep
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
        self._done = Compacted()

    def run(self, progress: Progress | None = None) -> Compacted:
        """Moves every row that may move, about a million at a time, then makes one segment of a day's many."""
        sweep(self._source, self._layout, self._now_ns)
        last = step_end(self._source, 1 << 60)
        end = 0
        while end < last:
            end = min(last, step_end(self._source, _STEP_ROWS, end))
            self._move(Movable(end, self._idle_since))
            if progress:
                progress(end, last)
        self._merge()
        self._shrink()
        self._source.execute(
            "INSERT INTO counters VALUES ('left_hot', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (hot_rows(self._source),),
        )
        return self._done

    def _move(self, movable: Movable) -> None:
        """One step."""
        movable.prepare(self._source)
        with writer_of(self._source, self._layout) as writer:
            counts = {
                table.name: load(
                    writer.worker, self._source, table, where=movable.where(table.name), parameters=movable.parameters
                )
                for table in MOVING
            }
            if not any(counts.values()):
                return
            self._source.execute("PRAGMA secure_delete = FAST")  # what the pages held is in the files: why overwrite it
            self._source.execute("BEGIN IMMEDIATE")
            with self._taking_back_if_it_fails():
                segments, ended = self._exchange(writer, movable, counts)
        with self._taking_back_if_it_fails():
            archive(self._source, ended)
            enter(self._source, segments)
            note_deletions(self._source)
            self._source.execute("COMMIT")
        for name, count in counts.items():
            self._done.rows[name] = self._done.rows.get(name, 0) + count
        self._done.segments += len(segments)
        self._done.bytes += sum(one.bytes for one in segments)

    def _exchange(
        self, writer: SegmentWriter, movable: Movable, counts: dict[str, int]
    ) -> tuple[list[Segment], list[tuple[str, str, bytes | None]]]:
        """Rows for files: the rows are deleted, in a transaction that stays open, while the files are written."""
        segments: list[Segment] = []
        with ThreadPoolExecutor(1, "otel_metrics compaction") as aside:
            deletion = aside.submit(movable.delete_all, self._source, counts)
            for table in MOVING:
                made = list(writer.write_days(table))
                if sum(one.rows for one in made) != counts[table.name]:
                    raise RuntimeError(f"{table.name}: {counts[table.name]} rows were read and others written")
                segments += made
            ended = self._ended(writer.worker)
            deletion.result()
        writer.done()
        return segments, ended

    @contextmanager
    def _taking_back_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            roll_back(self._source)
            raise

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
            many = len(segments) >= (2 if day < today else _MOST_OF_A_DAY)
            # A damaged one that is written anew would be taken for a sound one.
            if many and not missing_or_broken(self._layout, segments):
                self._merge_day(next(table for table in MOVING if table.name == name), day, segments)

    def _merge_day(self, table: Table, day: str, segments: Sequence[Segment]) -> None:
        with writer_of(self._source, self._layout) as writer:
            files = scan([self._layout.segments_folder / one.name for one in segments])
            whole = writer.write(table, day, f"SELECT * FROM {files} ORDER BY {TIME_OF[table.name]}")
            writer.done()
        if whole.rows != sum(one.rows for one in segments):
            raise RuntimeError(f"{table.name} of {day}: {whole.rows} rows in one file are not those of the many")
        self._source.execute("BEGIN IMMEDIATE")
        with self._taking_back_if_it_fails():
            retire(self._source, [one.name for one in segments], self._now_ns)
            enter(self._source, [whole])
            self._source.execute("COMMIT")
        self._done.merged += len(segments)

    def _shrink(self) -> None:
        """Gives space back to the disk, a piece at each time: it is slow, and the next rows will need some of it."""
        free, size = (
            int(self._source.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("freelist_count", "page_size")
        )
        if free * size > _LEFT_FREE_BYTES:
            self._source.executescript(f"PRAGMA incremental_vacuum({_GIVEN_BACK_BYTES // size})")
        self._source.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def compact(
    storage: MetricsStorage,
    settings: Settings,
    *,
    wait_s: float,
    progress: Progress | None = None,
    now_ns: int | None = None,
) -> Compacted | None:
    """Moves what may move of a store's rows into segments; None where another process kept the tables for `wait_s`."""
    now_ns = time.time_ns() if now_ns is None else now_ns
    with storage.alone(wait_s) as connection:
        if connection is None:
            return None
        work = Compaction(connection, storage.layout, now_ns=now_ns, timeout_hours=settings.session_timeout_hours)
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
