"""Owns the way from the journal into the tables: every whole line exactly once, whatever dies when."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from otel_metrics.model.identity import IdHasher
from otel_metrics.model.records import FileBegin
from otel_metrics.store.batch import REFUSED, Batch, read_one_by_one
from otel_metrics.store.breath import Breath, NoBreath
from otel_metrics.store.database import is_rebuilding, roll_back, writing
from otel_metrics.store.forks import GATE
from otel_metrics.store.journal_files import has_no_writer
from otel_metrics.store.layout import StoreLayout, open_private
from otel_metrics.store.locks import FileLock
from otel_metrics.store.places import header_or_stand_in, place_in
from otel_metrics.store.tombstones import Tombstones


@dataclass(slots=True)
class DrainReport:
    """What one pass did: lines stored, lines set aside as unreadable, bytes read, files that ended; `held` if another process drains."""

    stored: int = 0
    rejected: int = 0
    bytes_read: int = 0
    sealed: int = 0
    held: bool = False


class _MakeWayError(Exception):
    """Somebody waits to fork: the next pass goes on here, and reads no later file before this one."""


class Drain:
    """Moves journal lines into the tables. Of all processes one at a time does; the others need not."""

    def __init__(
        self,
        layout: StoreLayout,
        on_sealed: Callable[[sqlite3.Connection], object] = lambda _: None,
        *,
        on_read: Callable[[sqlite3.Connection], object] = lambda _: None,
        hasher: Callable[[], IdHasher | None] = lambda: None,
        polite: bool = False,
    ) -> None:
        self._layout = layout
        self._on_sealed = on_sealed
        self._on_read = on_read
        self._hasher = hasher
        self._tombstones: Tombstones | None = None
        self._rebuilding = False
        self._lock = FileLock(layout.drain_lock)
        self._breath = Breath() if polite else NoBreath()
        self._seen: tuple[tuple[str, int, int], ...] = ()

    def run(self, timeout_s: float = 0.0) -> DrainReport:
        """One pass over everything that is written. Waits at most `timeout_s` for another process's pass.

        Raises `StoreDamaged`, `StoreNewer` or `StoreError` where the database can not take rows; the journal keeps
        its lines then, and the next pass goes on from the same place.
        """
        report = DrainReport()
        self._layout.prepare()
        state = self._state()
        if state and state == self._seen:
            return report
        if GATE.shut or not self._lock.acquire(timeout_s):
            report.held = True
            return report
        self._tombstones = None
        try:
            # The current file is opened before the others are listed: what is rotated meanwhile is among those then,
            # and no line is read before an older one.
            with writing(self._layout.database) as connection, _opened(self._layout.log_file) as current:
                self._rebuilding = is_rebuilding(connection)
                done = True
                for path in self._layout.rotated_files():
                    with _opened(path) as rotated:
                        done &= self._drain_file(connection, rotated, report, rotated=True)
                self._drain_file(connection, current, report, rotated=False)
                self._on_read(connection)
                if report.sealed:
                    self._on_sealed(connection)
        except _MakeWayError:
            done = False
        finally:
            self._lock.release()
        self._seen = state if done else ()
        return report

    def leading(self) -> FileLock:
        """The drain lock, for work on the tables that must not run beside a drain; use it with `with`."""
        return self._lock

    def _state(self) -> tuple[tuple[str, int, int], ...]:
        """Names, inodes and sizes of the journal files, and which database it is: as before, there is nothing to do."""
        state = []
        for path in (*self._layout.journal_files(), self._layout.database):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            state.append((path.name, status.st_ino, status.st_size if path != self._layout.database else 0))
        return tuple(state)

    def _drain_file(
        self, connection: sqlite3.Connection, file: IO[bytes] | None, report: DrainReport, *, rotated: bool
    ) -> bool:
        """Stores what is new in a file. True if nothing can come any more, since no writer holds it."""
        header = None if file is None else header_or_stand_in(file)
        if file is None or header is None:
            return True
        place = self._place(connection, file, header)
        if place is None:
            return True
        # No writer holds a rotated file any more when the exclusive lock can be had: then its end is its end.
        no_writer = rotated and has_no_writer(file.fileno())
        end = os.fstat(file.fileno()).st_size  # writers at full speed would keep a pass from ever ending
        while place < end and (chunk := self._chunk(file, place)):
            self._store(connection, header, place, chunk, report)
            place += len(chunk)
        if no_writer:
            file.seek(place)
            if tail := file.read():
                self._store(connection, header, place, tail, report)
            connection.execute("UPDATE journal_files SET sealed = 1 WHERE journal_id = ?", (header.journal_id,))
            report.sealed += 1
        return no_writer

    def _place(self, connection: sqlite3.Connection, file: IO[bytes], header: FileBegin) -> int | None:
        """Where to read on; None if the file has been read to its end for good. What was noted wrongly is noted anew."""
        row = connection.execute(
            "SELECT CAST(offset AS INTEGER), sealed FROM journal_files WHERE journal_id = ?", (header.journal_id,)
        ).fetchone()
        known, sealed = row or (None, 0)
        if sealed and known == os.fstat(file.fileno()).st_size:
            return None
        place = place_in(connection, file, known)
        if place != (known or 0):
            connection.execute(
                "INSERT INTO journal_files (journal_id, number, offset, lines, rejected) VALUES (?, ?, ?, 0, 0) "
                "ON CONFLICT (journal_id) DO UPDATE SET offset = excluded.offset",
                (header.journal_id, header.number, place),
            )
        return place

    def _chunk(self, file: IO[bytes], place: int) -> bytes:
        """Whole lines from a place on; none at the end of the file."""
        if GATE.wanted:
            raise _MakeWayError
        file.seek(place)
        return _whole_lines(file.read(self._breath.batch_bytes), file, self._breath.batch_bytes)

    def _store(
        self, connection: sqlite3.Connection, header: FileBegin, offset: int, chunk: bytes, report: DrainReport
    ) -> None:
        """One transaction: the rows of the chunk and the offset behind it."""
        lines = self._without_forgotten(header, chunk.split(b"\n"))
        batch = Batch(lines, self._breath)
        try:
            stored = self._transaction(connection, header, offset, len(chunk), batch)
        except REFUSED:  # one line of the chunk: find it by storing each by itself
            batch = read_one_by_one(connection, lines, lambda part: Batch(part, self._breath))
            stored = self._transaction(connection, header, offset, len(chunk), batch)
        report.stored += stored
        report.rejected += len(batch.rejected)
        report.bytes_read += len(chunk)

    def _without_forgotten(self, header: FileBegin, lines: list[bytes]) -> list[bytes]:
        """What is read again from old logs brings nobody back who was forgotten."""
        if not self._rebuilding:
            return lines
        if self._tombstones is None and self._layout.tombstones_file.exists() and (hasher := self._hasher()):
            self._tombstones = Tombstones.load(self._layout, hasher)
        if not self._tombstones or not self._tombstones.applies_to(header):
            return lines
        return list(self._tombstones.filter(lines))

    def _transaction(
        self, connection: sqlite3.Connection, header: FileBegin, offset: int, size: int, batch: Batch
    ) -> int:
        connection.execute("BEGIN IMMEDIATE")
        aside_bytes = _size_of(self._layout.rejected_file)
        try:
            batch.insert(connection)
            connection.execute(
                "INSERT INTO journal_files (journal_id, number, offset, lines, rejected) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (journal_id) DO UPDATE SET offset = excluded.offset, lines = lines + excluded.lines, "
                "rejected = rejected + excluded.rejected",
                (header.journal_id, header.number, offset + size, batch.stored, len(batch.rejected)),
            )
            if batch.rejected:
                self._set_aside(batch.rejected)
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            if batch.rejected:  # the next pass sets them aside
                with suppress(OSError):
                    os.truncate(self._layout.rejected_file, aside_bytes)
            raise
        return batch.stored

    def _set_aside(self, lines: list[bytes]) -> None:
        descriptor = open_private(self._layout.rejected_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, b"".join(line + b"\n" for line in lines))
        finally:
            os.close(descriptor)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _whole_lines(chunk: bytes, file: IO[bytes], asked: int) -> bytes:
    """Up to the last line end; a single line longer than a batch is read to its end."""
    end = chunk.rfind(b"\n")
    if end < 0 and len(chunk) == asked:
        chunk += file.readline()
        end = chunk.rfind(b"\n")
    return chunk[: end + 1]


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes] | None]:
    """The file, or None where there is none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        yield file
