"""Owns the lines of one transaction: read by their kinds, counted by their writers, put into the tables block by block."""

import itertools
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from otel_metrics.model.identity import root_span_id_of, trace_id_of, wait_span_id_of
from otel_metrics.model.records import FileBegin
from otel_metrics.model.times import to_ns
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.store.archive import archived
from otel_metrics.store.breath import Breath
from otel_metrics.store.database import next_seq, roll_back
from otel_metrics.store.lines import number_of, writer_of
from otel_metrics.store.rows import (
    LEDGERS,
    LINES,
    ORDER,
    PROCESS_OF_STAGE,
    ROOTS,
    RUNNING,
    SESSION_OF_STAGE,
    SESSIONS_BEGUN,
    SESSIONS_ENDED,
    SESSIONS_SEEN,
    SPANS,
    STAGES,
    Line,
    Row,
    Target,
    in_blocks,
)

_BLOCK_ROWS = 400  # with 20 columns well below SQLite's 32,766 parameters
_LINE_START = b'{"kind":"'
_KIND_AT = len(_LINE_START)
_HEADER = b'{"kind":"file"'
_STAGE = b'{"kind":"stage"'
_MOST_TRIES = 100
_SPAN_ID = SPANS.columns.index("span_id")
_STAGE_AT, _START_AT, _STAGE_SPAN_AT = (STAGES.columns.index(name) for name in ("stage", "start_time", "span_id"))
_decode_header = msgspec.json.Decoder(FileBegin).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
REFUSED = (OverflowError, sqlite3.IntegrityError, sqlite3.DataError)
"""What SQLite raises for a row that decodes and yet does not fit."""


class Batch:
    """The lines of one transaction, checked and made into rows."""

    def __init__(self, lines: Sequence[bytes], breath: Breath) -> None:
        self._breath = breath
        self.rows: defaultdict[Target, list[Row]] = defaultdict(list)
        self.rejected: list[bytes] = []
        self.stored = 0
        self._stages = self.rows[STAGES]
        self._sessions: dict[str, Row] = {}
        self._running: dict[str, Row] = {}
        self._ended: list[str] = []
        self._counts: dict[str, int] = {}
        self._first: dict[str, bytes] = {}
        self._last: dict[str, bytes] = {}
        for start in range(0, len(lines), breath.lines_at_once):
            self._read(lines[start : start + breath.lines_at_once])
            breath.take()

    def _read(self, lines: Iterable[bytes]) -> None:
        """Decodes each line by the kind that stands at its start; what can not be read is rejected."""
        stage_row, add_stage, count = LINES[b"stage"].row_of, self._add_stage, self._count
        for line in lines:
            try:
                if line.startswith(_STAGE):  # most lines are: the same as below in fewer steps
                    row = stage_row(line if line.isascii() else _text(line))
                    add_stage(row)
                    count(row[PROCESS_OF_STAGE], line)
                elif (reader := _reader_of(line)) is not None:
                    self._add(reader, _text(line))
                elif line and not (line.startswith(_HEADER) and _is_header(line)):
                    self._salvage(line)
            except _UNREADABLE:
                self._salvage(line)

    def _add(self, reader: Line, line: bytes) -> None:
        """Takes one line, or raises if it can not be read."""
        row = reader.row_of(line)
        also = None if reader.also is None else reader.also.row_of(line)
        if reader.target is STAGES:
            self._add_stage(row)
        elif reader.target is RUNNING:
            self._running[row[0]] = row
        elif reader.target is not None:
            self.rows[reader.target].append(row)
            if reader.also is not None and reader.also.target is not None and also is not None:
                self.rows[reader.also.target].append(also)
        self._count(writer_of(line), line)

    def _add_stage(self, row: Row) -> None:
        """Takes an ended stage. One that began in the same batch never runs; the first of a session tells of it."""
        self._stages.append(row)
        metric_id, session_id = row[0], row[1]
        if session_id not in self._sessions:
            self._sessions[session_id] = SESSION_OF_STAGE(row)
        if metric_id in self._running:
            del self._running[metric_id]
        else:
            self._ended.append(metric_id)

    def _count(self, writer: str, line: bytes) -> None:
        self.stored += 1
        try:
            self._counts[writer] += 1
        except KeyError:
            self._counts[writer] = 1
            self._first[writer] = line
        self._last[writer] = line

    def _salvage(self, line: bytes) -> None:
        """A line torn by a killed writer may be followed by a whole one of another writer without a line end between."""
        start = line.find(_LINE_START, 1)
        for _ in range(_MOST_TRIES):
            if start < 0:
                break
            whole = line[start:]
            reader = _reader_of(whole)
            if reader is not None:
                try:
                    self._add(reader, _text(whole))
                except _UNREADABLE:
                    pass
                else:
                    line = line[:start]
                    break
            start = line.find(_LINE_START, start + 1)
        self.rejected.append(line)

    def insert(self, connection: sqlite3.Connection) -> None:
        """Puts the rows into the tables, block by block, each with a number of the store's cursor."""
        self._leave_archived(connection)
        rows_of = {
            **self.rows,
            SESSIONS_SEEN: list(self._sessions.values()),
            RUNNING: list(self._running.values()),
            LEDGERS: list(self._accounts()),
        }
        numbered = sum(len(rows) for target, rows in rows_of.items() if target.has_seq)
        numbers = itertools.count(next_seq(connection, numbered) + 1)
        for target in ORDER:
            for rows in in_blocks(rows_of.get(target, []), _BLOCK_ROWS):
                self._breath.take()
                values: list[object] = []
                if target.has_seq:
                    for row, number in zip(rows, numbers, strict=False):
                        values += row
                        values.append(number)
                else:
                    values += itertools.chain.from_iterable(rows)
                connection.execute(target.statement(len(rows)), values)
        self._settle_running(connection)

    def _leave_archived(self, connection: sqlite3.Connection) -> None:
        """A session whose rows are in segments is over: what still comes of it neither opens it again nor ends it twice."""
        ends = self.rows.get(SESSIONS_ENDED, [])
        met = {*self._sessions, *(row[0] for row in ends), *(row[0] for row in self.rows.get(SESSIONS_BEGUN, []))}
        over = archived(connection, met)
        if not over:
            return
        for session_id in over:
            self._sessions.pop(session_id, None)
        for target in (SESSIONS_BEGUN, SESSIONS_ENDED):
            self.rows[target] = [row for row in self.rows[target] if row[0] not in over]
        roots = {f"{root_span_id_of(trace_id_of(one)):016x}" for one in over}
        for target in (SPANS, ROOTS):
            self.rows[target] = [row for row in self.rows[target] if not (row[1] in over and row[_SPAN_ID] in roots)]
        self.rows[STAGES] = [row for row in self.rows[STAGES] if not (row[1] in over and _is_told_wait(row))]

    def _accounts(self) -> Iterable[Row]:
        """For every writer of numbered lines: its first and last number here, and how many lines of it were read."""
        for writer, count in self._counts.items():
            first, last = number_of(self._first[writer]), number_of(self._last[writer])
            if first and last:
                yield writer, first, last, count

    def _settle_running(self, connection: sqlite3.Connection) -> None:
        """Stages that have ended run no more."""
        if self._ended and connection.execute("SELECT EXISTS (SELECT 1 FROM running)").fetchone()[0]:
            for start in range(0, len(self._ended), _BLOCK_ROWS):
                ids = self._ended[start : start + _BLOCK_ROWS]
                connection.execute(f"DELETE FROM running WHERE metric_id IN ({', '.join('?' * len(ids))})", ids)
        if self._running:
            # A begin may be read after its end, where a writer went on to the next file between two looks of ours.
            connection.execute(
                "DELETE FROM running WHERE EXISTS "
                "(SELECT 1 FROM processing_metrics AS ended WHERE ended.metric_id = running.metric_id)"
            )


B = TypeVar("B", bound=Batch)


def read_one_by_one(connection: sqlite3.Connection, lines: Sequence[bytes], make: Callable[[Sequence[bytes]], B]) -> B:
    """The slow way, once, where a batch was refused: each line is tried in a transaction that is taken back."""
    sound, refused = [], []
    for line in lines:
        connection.execute("BEGIN IMMEDIATE")
        try:
            make([line]).insert(connection)
            sound.append(line)
        except REFUSED:
            refused.append(line)
        finally:
            roll_back(connection)
    batch = make(sound)
    batch.rejected += refused
    return batch


def _is_told_wait(row: Row) -> bool:
    """Whether it is the wait of a moderation item, which is told when the item is taken: first before its session was over."""
    if row[_STAGE_AT] != ProcessingStage.MODERATION_QUEUE:
        return False
    of_item = wait_span_id_of(trace_id_of(row[1]), to_ns(row[_START_AT]))
    return bool(row[_STAGE_SPAN_AT] == f"{of_item:016x}")


def _reader_of(line: bytes) -> Line | None:
    return LINES.get(line[_KIND_AT : line.find(b'"', _KIND_AT)]) if line.startswith(_LINE_START) else None


def _is_header(line: bytes) -> bool:
    try:
        _decode_header(line)
    except _UNREADABLE:
        return False
    return True


def _text(line: bytes) -> bytes:
    """The line, if it is text: JSON columns go in as they are, and a row that is no text could not be read again."""
    if not line.isascii():
        line.decode()
    return line
