"""Owns the way from the journal into the tables: every whole line exactly once, whatever dies when."""

import fcntl
import itertools
import os
import sqlite3
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from otel_metrics.model.records import FileBegin
from otel_metrics.store.database import next_seq, writing
from otel_metrics.store.forks import GATE
from otel_metrics.store.journal import header_in
from otel_metrics.store.layout import StoreLayout, open_private
from otel_metrics.store.locks import FileLock
from otel_metrics.store.rows import (
    LINES,
    ORDER,
    RUNNING,
    SESSION_OF_STAGE,
    SESSIONS_SEEN,
    STAGES,
    Line,
    Row,
    Target,
    in_blocks,
)

_BATCH_BYTES = 4 << 20
_BLOCK_ROWS = 400  # with 20 columns well below SQLite's 32,766 parameters
_LINE_START = b'{"kind":"'
_KIND_AT = len(_LINE_START)
_HEADER = b'{"kind":"file"'
_STAGE = b'{"kind":"stage"'
_MOST_TRIES = 100
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(slots=True)
class DrainReport:
    """What one pass did: lines stored, lines set aside as unreadable, bytes read, files that ended; `held` if another process drains."""

    stored: int = 0
    rejected: int = 0
    bytes_read: int = 0
    sealed: int = 0
    held: bool = False


class _Batch:
    """The lines of one transaction, checked and made into rows."""

    def __init__(self) -> None:
        self.rows: defaultdict[Target, list[Row]] = defaultdict(list)
        self.stages = self.rows[STAGES]
        self.sessions: dict[str, Row] = {}
        self.running: dict[str, Row] = {}
        self.ended: list[str] = []
        self.rejected: list[bytes] = []
        self.stored = 0

    def add(self, reader: Line, line: bytes) -> None:
        """Takes one line, or raises if it can not be read."""
        row = reader.row_of(line)
        also = None if reader.also is None else reader.also.row_of(line)
        if reader.target is STAGES:
            self.add_stage(row)
        elif reader.target is RUNNING:
            self.running[row[0]] = row
        else:
            self.rows[reader.target].append(row)
            if reader.also is not None and also is not None:
                self.rows[reader.also.target].append(also)
        self.stored += 1

    def add_stage(self, row: Row) -> None:
        """Takes an ended stage. One that began in the same batch never runs; the first of a session tells of it."""
        self.stages.append(row)
        metric_id, session_id = row[0], row[1]
        if session_id not in self.sessions:
            self.sessions[session_id] = SESSION_OF_STAGE(row)
        if metric_id in self.running:
            del self.running[metric_id]
        else:
            self.ended.append(metric_id)


class Drain:
    """Moves journal lines into the tables. Of all processes one at a time does; the others need not."""

    def __init__(self, layout: StoreLayout, on_sealed: Callable[[sqlite3.Connection], object] = lambda _: None) -> None:
        self._layout = layout
        self._on_sealed = on_sealed
        self._lock = FileLock(layout.drain_lock)
        self._seen: tuple[tuple[str, int, int], ...] = ()
        if hasattr(os, "register_at_fork"):
            forgotten = weakref.WeakMethod(self._lock.forget)
            os.register_at_fork(after_in_child=lambda: (method := forgotten()) and method())

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
        try:
            # The current file is opened before the others are listed: what is rotated meanwhile is among those then,
            # and no line is read before an older one.
            with writing(self._layout.database) as connection, _opened(self._layout.log_file) as current:
                done = True
                for path in self._layout.rotated_files():
                    with _opened(path) as rotated:
                        done &= self._drain_file(connection, rotated, report, rotated=True)
                self._drain_file(connection, current, report, rotated=False)
                if report.sealed:
                    self._on_sealed(connection)
        finally:
            self._lock.release()
        self._seen = state if done and not GATE.wanted else ()
        return report

    def leading(self) -> FileLock:
        """The drain lock, for work on the tables that must not run beside a drain; use it with `with`."""
        return self._lock

    def _state(self) -> tuple[tuple[str, int, int], ...]:
        """Names, inodes and sizes of the journal files: when they are as before, there is nothing to do."""
        state = []
        for path in [*self._layout.rotated_files(), self._layout.log_file]:
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            state.append((path.name, status.st_ino, status.st_size))
        return tuple(state)

    def _drain_file(
        self, connection: sqlite3.Connection, file: IO[bytes] | None, report: DrainReport, *, rotated: bool
    ) -> bool:
        """Stores what is new in a file. True if nothing can come any more, since no writer holds it."""
        header = None if file is None else header_in(file)
        if file is None or header is None:
            return True
        row = connection.execute(
            "SELECT offset, sealed FROM journal_files WHERE journal_id = ?", (header.journal_id,)
        ).fetchone()
        offset, sealed = row or (0, 0)
        if sealed:
            return True
        # No writer holds a rotated file any more when the exclusive lock can be had: then its end is its end.
        no_writer = rotated and _lockable(file.fileno())
        while not GATE.wanted:
            file.seek(offset)
            chunk = _whole_lines(file.read(_BATCH_BYTES), file)
            if not chunk:
                break
            self._store(connection, header, offset, chunk, report)
            offset += len(chunk)
        else:
            return False  # somebody waits to fork; the next pass goes on here
        if no_writer:
            file.seek(offset)
            if tail := file.read():
                self._store(connection, header, offset, tail, report)
            connection.execute("UPDATE journal_files SET sealed = 1 WHERE journal_id = ?", (header.journal_id,))
            report.sealed += 1
        return no_writer

    def _store(
        self, connection: sqlite3.Connection, header: FileBegin, offset: int, chunk: bytes, report: DrainReport
    ) -> None:
        """One transaction: the rows of the chunk and the offset behind it."""
        batch = _read(chunk.split(b"\n"))
        try:
            stored = self._transaction(connection, header, offset, len(chunk), batch)
        except (OverflowError, sqlite3.IntegrityError, sqlite3.DataError):
            # A row that decodes and yet does not fit: find it by storing each line of the chunk by itself.
            batch = _read_one_by_one(connection, chunk.split(b"\n"))
            stored = self._transaction(connection, header, offset, len(chunk), batch)
        report.stored += stored
        report.rejected += len(batch.rejected)
        report.bytes_read += len(chunk)

    def _transaction(
        self, connection: sqlite3.Connection, header: FileBegin, offset: int, size: int, batch: _Batch
    ) -> int:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _insert(connection, batch)
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
            connection.execute("ROLLBACK")
            raise
        return batch.stored

    def _set_aside(self, lines: list[bytes]) -> None:
        descriptor = open_private(self._layout.rejected_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, b"".join(line + b"\n" for line in lines))
        finally:
            os.close(descriptor)


def _insert(connection: sqlite3.Connection, batch: _Batch) -> None:
    """Puts a batch into the tables, block by block, each row with a number of the store's cursor."""
    rows_of = {**batch.rows, SESSIONS_SEEN: list(batch.sessions.values()), RUNNING: list(batch.running.values())}
    numbered = sum(len(rows) for target, rows in rows_of.items() if target.has_seq)
    numbers = itertools.count(next_seq(connection, numbered) + 1)
    for target in ORDER:
        for rows in in_blocks(rows_of.get(target, []), _BLOCK_ROWS):
            values: list[object] = []
            if target.has_seq:
                for row, number in zip(rows, numbers, strict=False):
                    values += row
                    values.append(number)
            else:
                values += itertools.chain.from_iterable(rows)
            connection.execute(target.statement(len(rows)), values)
    if batch.ended and connection.execute("SELECT EXISTS (SELECT 1 FROM running)").fetchone()[0]:
        for start in range(0, len(batch.ended), _BLOCK_ROWS):
            ids = batch.ended[start : start + _BLOCK_ROWS]
            connection.execute(f"DELETE FROM running WHERE metric_id IN ({', '.join('?' * len(ids))})", ids)
    if batch.running:
        # A begin may be read after its end, where a writer went on to the next file between two looks of ours.
        connection.execute(
            "DELETE FROM running WHERE EXISTS "
            "(SELECT 1 FROM processing_metrics AS ended WHERE ended.metric_id = running.metric_id)"
        )


def _read(lines: list[bytes]) -> _Batch:
    """Decodes each line by the kind that stands at its start; what can not be read is rejected."""
    batch = _Batch()
    stage_row, add_stage = LINES[b"stage"].row_of, batch.add_stage
    for line in lines:
        try:
            if line.startswith(_STAGE):  # most lines are: the same as below in fewer steps
                add_stage(stage_row(line if line.isascii() else _text(line)))
                batch.stored += 1
            elif (reader := _reader_of(line)) is not None:
                batch.add(reader, _text(line))
            elif line and not line.startswith(_HEADER):
                _salvage(line, batch)
        except _UNREADABLE:
            _salvage(line, batch)
    return batch


def _reader_of(line: bytes) -> Line | None:
    return LINES.get(line[_KIND_AT : line.find(b'"', _KIND_AT)]) if line.startswith(_LINE_START) else None


def _text(line: bytes) -> bytes:
    """The line, if it is text: JSON columns go in as they are, and a row that is no text could not be read again."""
    if not line.isascii():
        line.decode()
    return line


def _salvage(line: bytes, batch: _Batch) -> None:
    """A line torn by a killed writer may be followed by a whole one of another writer without a line end between."""
    start = line.find(_LINE_START, 1)
    for _ in range(_MOST_TRIES):
        if start < 0:
            break
        whole = line[start:]
        reader = _reader_of(whole)
        if reader is not None:
            try:
                batch.add(reader, _text(whole))
            except _UNREADABLE:
                pass
            else:
                line = line[:start]
                break
        start = line.find(_LINE_START, start + 1)
    batch.rejected.append(line)


def _read_one_by_one(connection: sqlite3.Connection, lines: list[bytes]) -> _Batch:
    """The slow way, once, where a batch was refused: each line is tried in a transaction that is taken back."""
    sound, refused = [], []
    for line in lines:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _insert(connection, _read([line]))
            sound.append(line)
        except (OverflowError, sqlite3.IntegrityError, sqlite3.DataError):
            refused.append(line)
        finally:
            connection.execute("ROLLBACK")
    batch = _read(sound)
    batch.rejected += refused
    return batch


def _whole_lines(chunk: bytes, file: IO[bytes]) -> bytes:
    """Up to the last line end; a single line longer than a batch is read to its end."""
    end = chunk.rfind(b"\n")
    if end < 0 and len(chunk) == _BATCH_BYTES:
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


def _lockable(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
