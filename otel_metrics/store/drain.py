"""Owns the way from the journal into the tables: every whole line exactly once, whatever dies when."""

import fcntl
import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from otel_metrics.model.records import FileBegin, Record, decode_record
from otel_metrics.store.database import next_seq, open_writer
from otel_metrics.store.journal import read_header
from otel_metrics.store.layout import StoreLayout, open_private
from otel_metrics.store.locks import FileLock

_BATCH_BYTES = 1 << 20
_LINE_START = b'{"kind":"'
_KIND_AT = len(_LINE_START)
_STATEMENTS = {
    entry.name.removesuffix(".sql"): entry.read_text(encoding="utf-8")
    for entry in (files("otel_metrics.store") / "ingest").iterdir()
    if entry.name.endswith(".sql")
}
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class DrainReport:
    """What one pass did: lines stored, lines set aside as unreadable, bytes read; `held` if another process drains."""

    stored: int = 0
    rejected: int = 0
    bytes_read: int = 0
    held: bool = False


@dataclass(slots=True)
class _Batch:
    """The checked lines of one transaction, by kind."""

    lines: dict[str, list[bytes]] = field(default_factory=dict)
    begun: dict[bytes, bytes] = field(default_factory=dict)
    rejected: list[bytes] = field(default_factory=list)


class Drain:
    """Moves journal lines into the tables. Of all processes one at a time does; the others need not."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
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
        if not self._lock.acquire(timeout_s):
            report.held = True
            return report
        try:
            with closing(open_writer(self._layout.database)) as connection:
                for path in [*self._layout.rotated_files(), self._layout.log_file]:
                    self._drain_file(connection, path, report)
        finally:
            self._lock.release()
        self._seen = state
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

    def _drain_file(self, connection: sqlite3.Connection, path: Path, report: DrainReport) -> None:
        header = read_header(path)
        if header is None:
            return
        row = connection.execute(
            "SELECT offset, sealed FROM journal_files WHERE journal_id = ?", (header.journal_id,)
        ).fetchone()
        offset, sealed = row or (0, 0)
        if sealed:
            return
        rotated = path != self._layout.log_file
        with path.open("rb") as file:
            # No writer holds a rotated file any more when the exclusive lock can be had: then its end is its end.
            no_writer = rotated and _lockable(file.fileno())
            while True:
                file.seek(offset)
                chunk = _whole_lines(file.read(_BATCH_BYTES), file)
                if not chunk:
                    break
                self._store(connection, header, offset, chunk, report)
                offset += len(chunk)
            if no_writer:
                file.seek(offset)
                if tail := file.read():
                    self._store(connection, header, offset, tail, report)
                connection.execute("UPDATE journal_files SET sealed = 1 WHERE journal_id = ?", (header.journal_id,))

    def _store(
        self, connection: sqlite3.Connection, header: FileBegin, offset: int, chunk: bytes, report: DrainReport
    ) -> None:
        """One transaction: the rows of the chunk and the offset behind it."""
        lines = chunk.split(b"\n")
        try:
            stored, rejected = self._transaction(connection, header, offset, len(chunk), _sort(lines))
        except sqlite3.Error as error:
            if not _is_about_data(error):
                raise
            # Some line is not what it looks like: look at each, once, and keep what is sound.
            stored, rejected = self._transaction(connection, header, offset, len(chunk), _sort(_checked(lines)))
        report.stored += stored
        report.rejected += rejected
        report.bytes_read += len(chunk)

    def _transaction(
        self, connection: sqlite3.Connection, header: FileBegin, offset: int, size: int, batch: _Batch
    ) -> tuple[int, int]:
        connection.execute("BEGIN IMMEDIATE")
        try:
            stored = _insert(connection, batch)
            connection.execute(
                "INSERT INTO journal_files (journal_id, number, offset, lines, rejected) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (journal_id) DO UPDATE SET offset = excluded.offset, lines = lines + excluded.lines, "
                "rejected = rejected + excluded.rejected",
                (header.journal_id, header.number, offset + size, stored, len(batch.rejected)),
            )
            if batch.rejected:
                self._set_aside(batch.rejected)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return stored, len(batch.rejected)

    def _set_aside(self, lines: list[bytes]) -> None:
        descriptor = open_private(self._layout.rejected_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, b"".join(line + b"\n" for line in lines))
        finally:
            os.close(descriptor)


def _insert(connection: sqlite3.Connection, batch: _Batch) -> int:
    """Puts a batch into the tables, one statement a kind; the lines go in as they are, parsed by SQLite alone."""
    stored = 0
    new_stages = 0
    for kind, name in _ORDER:
        lines = batch.lines.get(kind)
        if not lines:
            continue
        stored += len(lines)
        base = next_seq(connection, len(lines))
        connection.execute(_STATEMENTS[name], {"lines": _array(lines), "base": base})
        if kind == "stage":
            new_stages = base
            connection.execute(_STATEMENTS["running_ended"], {"base": base})
        elif kind == "end":
            connection.execute(_STATEMENTS["spans"], {"lines": _array(lines), "base": next_seq(connection, len(lines))})
    if "stage" in batch.lines:
        _insert_missing_sessions(connection, new_stages)
    if batch.begun:
        lines = list(batch.begun.values())
        stored += len(lines)
        connection.execute(_STATEMENTS["running"], {"lines": _array(lines)})
    return stored


def _array(lines: list[bytes]) -> str:
    return (b"[" + b",".join(lines) + b"]").decode()


_ORDER = (
    ("process", "processes"),
    ("session", "sessions_begun"),
    ("stage", "processing_metrics"),
    ("correction", "correction_metrics"),
    ("system", "system_metrics"),
    ("span", "spans"),
    ("end", "sessions_ended"),
    ("log", "logs"),
)


def _insert_missing_sessions(connection: sqlite3.Connection, base: int) -> None:
    """A stage may come from a session that nobody created here: it gets its row from the first stages seen."""
    missing = connection.execute(_STATEMENTS["sessions_missing"], {"base": base}).fetchall()
    if missing:
        seq = next_seq(connection, len(missing))
        connection.executemany(
            "INSERT INTO sessions (session_id, user_id, chat_id, started_at, seq) VALUES (?, ?, ?, ?, ?)",
            [(*row, seq + number) for number, row in enumerate(missing, 1)],
        )


def _sort(lines: list[bytes]) -> _Batch:
    """Sorts lines by the kind that stands at their start. A stage that begins and ends in one batch never runs."""
    batch = _Batch()
    by_kind = batch.lines
    for line in lines:
        if not line:
            continue
        if not (line.startswith(_LINE_START) and line.endswith(b"}")):
            batch.rejected.append(line)
            continue
        kind = line[_KIND_AT : line.find(b'"', _KIND_AT)]
        if kind == b"stage":
            batch.begun.pop(line[_STAGE_KEY], None)
        if kind == b"begin":
            batch.begun[line[_STAGE_KEY]] = line
        elif kind == b"file":
            pass
        elif kind in _KINDS:
            by_kind.setdefault(kind.decode(), []).append(line)
        else:
            batch.rejected.append(line)
    return batch


_KINDS = frozenset(kind.encode() for kind, _ in _ORDER)
_STAGE_KEY = slice(len(b'{"kind":"stage","metric_id":"'), len(b'{"kind":"stage","metric_id":"') + 30)


def _checked(lines: list[bytes]) -> list[bytes]:
    """The slow way: each line decoded against its shape. What fails comes back so marked that sorting rejects it."""
    return [piece for line in lines if line for piece in _sound_pieces(line)]


def _sound_pieces(line: bytes) -> Iterator[bytes]:
    if _is_sound(line):
        yield line
        return
    # A line torn by a killed writer may be followed by a whole one of another writer without a line end between.
    start = line.rfind(_LINE_START)
    if start > 0 and _is_sound(line[start:]):
        yield b"!" + line[:start]
        yield line[start:]
    else:
        yield b"!" + line


def _is_sound(line: bytes) -> bool:
    try:
        if line.startswith(b'{"kind":"log"'):
            fields = _decode_any(line)
            return all(isinstance(fields.get(name), str) for name in ("timestamp", "level", "event_type", "message"))
        record: Record = decode_record(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return record is not None


def _whole_lines(chunk: bytes, file: Any) -> bytes:
    """Up to the last line end; a single line longer than a batch is read to its end."""
    end = chunk.rfind(b"\n")
    if end < 0 and len(chunk) == _BATCH_BYTES:
        chunk += file.readline()
        end = chunk.rfind(b"\n")
    return chunk[: end + 1]


def _lockable(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_about_data(error: sqlite3.Error) -> bool:
    """Whether the lines are at fault and not the database: broken JSON, a missing field, text that is not UTF-8."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code in {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG}
