"""Owns what of the journal is still to be sent on by OTLP: found by a cursor of its own, a batch at a time, in order.

It reads what the drain has read before it. So torn and bad lines are known, and of several ends of one session the
tables tell which one was the first; the same with a draft's wait that several moderators' processes told.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from otel_metrics.model.records import ProcessingMetric, SessionEnd, SpanEnded, decode_record
from otel_metrics.model.times import iso
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.store.archive import archived, digest_of
from otel_metrics.store.cursor import Cursor, CursorDraft, load_cursor, save_cursor
from otel_metrics.store.database import reading
from otel_metrics.store.journal_files import header_in
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.lines import writer_of
from otel_metrics.store.locks import FileLock

SentRecord = ProcessingMetric | SpanEnded
SentFrom = tuple[SentRecord, str]
"""A record, and the OpenTelemetry resource of the process that wrote it, in JSON."""
_KINDS = tuple(f'{{"kind":"{kind}"'.encode() for kind in ("stage", "span", "end", "other"))
_MOST_BYTES = 4 << 20
_SAMPLED = 1
_WAIT = ProcessingStage.MODERATION_QUEUE
_LINE_START = b'{"kind":"'
_metadata = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class Unsent:
    """A batch, where the cursor stands behind it, and whether that is the end of what the tables know."""

    records: list[SentFrom] = field(default_factory=list)
    positions: dict[str, int] = field(default_factory=dict)
    is_end: bool = True


class Outbox:
    """The journal as seen by who sends it on. Of all processes one at a time does."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
        self._lock = FileLock(layout.forward_lock)

    def begin(self) -> None:
        """Sets the cursor behind all that is there, if there is none: the past is not sent of itself."""
        if load_cursor(self._layout) is None:
            with self._lock:
                if load_cursor(self._layout) is None:
                    save_cursor(self._layout, Cursor({name: size for _, name, size in _files(self._layout)}))

    @contextmanager
    def taking(self, timeout_s: float = 0.0) -> Iterator["Taking | None"]:
        """The turn to send; None where another process keeps it for `timeout_s`."""
        if not self._lock.acquire(timeout_s):
            yield None
            return
        try:
            yield Taking(self._layout, load_cursor(self._layout) or Cursor())
        finally:
            self._lock.release()


class Taking:
    """One turn of sending: batch after batch, each marked as sent before the next is read."""

    def __init__(self, layout: StoreLayout, cursor: Cursor) -> None:
        self._layout = layout
        self.cursor = cursor
        self._draft: CursorDraft | None = None

    def next(self, most_spans: int) -> Unsent:
        """The next records to send, at most `most_spans`. Raises `StoreError` where the tables can not be read."""
        with reading(self._layout.database) as connection:
            drained = dict(connection.execute("SELECT journal_id, offset FROM journal_files").fetchall())
            found = list(_files(self._layout))
            unsent = Unsent(positions={name: self.cursor.positions.get(name, 0) for _, name, _ in found})
            lines: list[tuple[SentRecord, str]] = []
            for path, name, _ in found:
                room = most_spans - len(lines)
                unsent.positions[name] = _read(path, unsent.positions[name], drained.get(name, 0), room, lines)
                unsent.is_end = unsent.is_end and unsent.positions[name] >= drained.get(name, 0)
            unsent.records = _of_forwarding(connection, lines)
        return unsent

    def prepare(self, unsent: Unsent, now_ns: int) -> None:
        """Writes the cursor behind the batch beside the old one. Raises `OSError` where there is no room for it."""
        cursor = self.cursor
        changes: dict[str, Any] = {"positions": unsent.positions}
        if unsent.records:
            changes |= {"sent": cursor.sent + len(unsent.records), "last_sent": iso(now_ns), "failing_since": ""}
        self.cursor = msgspec.structs.replace(cursor, **changes)
        self._draft = CursorDraft(self._layout, self.cursor)

    def keep(self, refused: int = 0) -> None:
        """Makes the prepared cursor the cursor: the batch is sent, but for records that the other side refused."""
        if self._draft is not None:
            self._draft.keep()
            self._draft = None
        if refused:
            self.cursor.sent -= refused
            self.cursor.refused += refused
            save_cursor(self._layout, self.cursor)

    def note_failure(self, now_ns: int) -> None:
        """Notes since when nothing goes out."""
        cursor = load_cursor(self._layout) or Cursor()
        if not cursor.failing_since:
            cursor.failing_since = iso(now_ns)
            save_cursor(self._layout, cursor)


def _files(layout: StoreLayout) -> Iterator[tuple[Path, str, int]]:
    """Path, id and size of every journal file, oldest first."""
    for path in layout.journal_files():
        with suppress(FileNotFoundError), path.open("rb") as file:
            header = header_in(file)
            if header is not None:
                yield path, header.journal_id, os.fstat(file.fileno()).st_size


def _read(path: Path, position: int, end: int, most: int, found: list[tuple[SentRecord, str]]) -> int:
    """Reads records from `position` on, not beyond `end`, until `most` are found; gives the new position."""
    if most <= 0 or position >= end:
        return position
    end = min(end, position + _MOST_BYTES)
    with suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(position)
        while position < end and most > 0:
            line = file.readline()
            if not line:  # the file is shorter than what was read of it: its tail was lost, or it was rewritten
                return end
            position += len(line)
            record = _record_in(line)
            if record is not None:
                found.append((record, writer_of(line)))
                most -= 1
    return position


def _record_in(line: bytes) -> SentRecord | None:
    """The record of a line that is to be sent; a torn line may stand before it without a line end between."""
    start = 0
    while start >= 0:
        if line.startswith(_KINDS, start):
            try:
                record = decode_record(line[start:])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                pass
            else:
                sampled = isinstance(record, ProcessingMetric | SpanEnded) and record.flags & _SAMPLED
                return record if sampled else None
        start = line.find(_LINE_START, start + 1)
    return None


def _of_forwarding(connection: sqlite3.Connection, lines: list[tuple[SentRecord, str]]) -> list[SentFrom]:
    """The records of processes that forward, with their resources, without what was told before: ends of a session, a draft's wait."""
    resources = {
        process: resource or "{}"
        for process, resource in _rows(
            connection, "SELECT process, resource FROM processes WHERE forwards AND process", {one for _, one in lines}
        )
    }
    told = [record for record, _ in lines if isinstance(record, SessionEnd)]
    ends = {record.record_id for record in told}
    first = {
        record_id: (process, end_time)
        for record_id, process, end_time in _rows(
            connection, "SELECT record_id, process, end_time FROM spans WHERE record_id", ends
        )
    }
    waits = {record.metric_id for record, _ in lines if isinstance(record, ProcessingMetric) and record.stage == _WAIT}
    first |= {
        metric_id: (process, end_time)
        for metric_id, process, end_time in _rows(
            connection, "SELECT metric_id, process, end_time FROM processing_metrics WHERE metric_id", waits
        )
    }
    over = archived(connection, {record.session_id for record in told})

    def is_told_before(record: SentRecord, writer: str) -> bool:
        if isinstance(record, ProcessingMetric):
            if record.stage != _WAIT:
                return False
            key = record.metric_id
        elif not isinstance(record, SessionEnd):
            return False
        elif record.session_id in over:
            return over[record.session_id] not in {None, digest_of(writer, record.end_time)}
        else:
            key = record.record_id
        return first.get(key, (writer, record.end_time)) != (writer, record.end_time)

    sent = [(record, writer) for record, writer in lines if writer in resources and not is_told_before(record, writer)]
    _tell_beginnings(connection, [record for record, _ in sent if isinstance(record, SessionEnd)])
    return [(record, resources[writer]) for record, writer in sent]


def _tell_beginnings(connection: sqlite3.Connection, ends: list[SessionEnd]) -> None:
    """Puts into ends what another process told of their sessions when it created them: whose they are, and metadata."""
    wanted = {record.session_id for record in ends if not record.user_id and not record.chat_id}
    told = {
        session_id: facts
        for session_id, *facts in _rows(
            connection, "SELECT session_id, user_id, chat_id, metadata FROM sessions WHERE session_id", wanted
        )
    }
    for record in ends:
        if record.session_id in told:
            user, chat, metadata = told[record.session_id]
            record.user_id, record.chat_id = user or 0, chat or 0
            record.metadata = {**_metadata(metadata or b"{}"), **record.metadata}


def _rows(connection: sqlite3.Connection, select: str, keys: set[str]) -> list[tuple[Any, ...]]:
    return connection.execute(f"{select} IN ({', '.join('?' * len(keys))})", list(keys)).fetchall()
