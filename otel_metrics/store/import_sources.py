"""Owns what lines of an imported file become: lines of the journal to be stored, with a reason for each that is not."""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from otel_metrics.errors import StoreNewer
from otel_metrics.model import names
from otel_metrics.model.records import (
    CorrectionMetric,
    Json,
    ProcessBegin,
    ProcessingMetric,
    Record,
    SpanEnded,
    encode_line,
)
from otel_metrics.store.import_batch import ImportedBatch
from otel_metrics.store.lines import number_of, writer_of
from otel_metrics.store.numbers import Numbers
from otel_metrics.store.otlp_json import OtlpReader, TakenSpan
from otel_metrics.store.rows import LINES
from otel_metrics.store.scrub import MARK
from otel_metrics.store.tombstones import Tombstones

_LINE_START = b'{"kind":"'
_HEADER = b"file"
_FORGOTTEN = b'{"kind":"forgotten"'
_UNKEYED = (b"log", b"system")
_TABLES_OF_SPANS = ("processing_metrics", "spans")


class Source(Protocol):
    """One kind of file. A new one is made for each transaction."""

    skipped: Counter[str]

    def lines(self, found: Sequence[bytes]) -> list[bytes]:
        """The lines to store."""

    def counts(self, batch: ImportedBatch) -> tuple[int, int]:
        """How many records the batch stored, and how many were here already."""

    def note(self, connection: sqlite3.Connection) -> None:
        """Writes down what was read, in the transaction that stores it."""


class JournalSource:
    """Another host's journal: a line is known by its writer and its number."""

    def __init__(self, connection: sqlite3.Connection, name: str, tombstones: Tombstones | None) -> None:
        self.skipped = Counter[str]()
        self._connection = connection
        self._name = name
        self._tombstones = tombstones
        self._read: dict[str, Numbers] = {}
        self._own: dict[str, bool] = {}
        self._known = 0
        self._beside = 0

    def lines(self, found: Sequence[bytes]) -> list[bytes]:
        """Those that nobody has brought yet."""
        return [kept for line in found if line and (kept := self._kept(line)) is not None]

    def _kept(self, line: bytes) -> bytes | None:
        kind = _kind_of(line)
        number, writer = number_of(line), writer_of(line)
        if kind == _HEADER:
            return None
        if kind and kind not in LINES and number and _is_json(line):
            raise StoreNewer(
                f"{self._name} has lines of the kind {kind.decode(errors='replace')!r}", "a journal of this version or before",
                "install the newer otel_metrics that wrote it, here too; what stood before is imported",
            )  # fmt: skip
        if number:
            if self._is_of_this_store(writer):
                self.skipped["of_this_store"] += 1
                return None
            read = self._numbers(writer)
            if number in read:
                self._known += kind not in {b"process", b"tally"}
                return None
            read.add(number)
        elif kind in _UNKEYED:
            self.skipped["unnumbered"] += 1  # nothing tells whether such a line was read before
            return None
        if kind == b"tally":
            return None  # what another host could not keep is its own account
        kept = line if self._tombstones is None else self._tombstones.keep(line)
        if kept is None or (kept is not line and kept.startswith(_FORGOTTEN)):
            self.skipped["forgotten"] += 1
            return None
        self._beside += kind in {b"process", b"forgotten"}
        return kept

    def counts(self, batch: ImportedBatch) -> tuple[int, int]:
        """Lines, but for those that only tell who writes."""
        here = batch.known.total()
        self.skipped["unreadable"] += len(batch.rejected)
        return batch.stored - self._beside - here, self._known + here

    def note(self, connection: sqlite3.Connection) -> None:
        """The numbers that have been read."""
        for writer, numbers in self._read.items():
            connection.execute("DELETE FROM imported_lines WHERE process = ?", (writer,))
            connection.executemany(
                "INSERT INTO imported_lines VALUES (?, ?, ?)", [(writer, first, last) for first, last in numbers]
            )

    def _numbers(self, writer: str) -> Numbers:
        if writer not in self._read:
            rows = self._connection.execute("SELECT first, last FROM imported_lines WHERE process = ?", (writer,))
            self._read[writer] = Numbers(rows.fetchall())
        return self._read[writer]

    def _is_of_this_store(self, writer: str) -> bool:
        """Whether the writer's lines reach the tables by this store's own journal."""
        if writer not in self._own:
            row = self._connection.execute("SELECT 1 FROM ledgers WHERE process = ?", (writer,)).fetchone()
            self._own[writer] = row is not None
        return self._own[writer]


class OtlpSource:
    """Lines of OTLP JSON: a span is known by its key. `forgotten` says until when a session's person is forgotten."""

    def __init__(
        self, reader: OtlpReader, tombstones: Tombstones | None, forgotten: Callable[[], dict[str, str]]
    ) -> None:
        self.skipped = Counter[str]()
        self._reader = reader
        self._tombstones = tombstones
        self._forgotten = forgotten() if tombstones else {}
        self._spans = 0
        self._processes: set[str] = set()

    def lines(self, found: Sequence[bytes]) -> list[bytes]:
        """The records of the spans, as if their process had written them here."""
        made: list[bytes] = []
        for line in found:
            try:
                for taken in self._reader.spans(line):
                    made += self._lines_of(taken)
            except (ValueError, RecursionError):
                self.skipped["unreadable"] += bool(line.strip())
        return made

    def _lines_of(self, taken: TakenSpan) -> Iterator[bytes]:
        if not taken.skipped and taken.end_time <= self._forgotten.get(taken.session_id, ""):
            self.skipped["forgotten"] += 1
        elif taken.skipped:
            self.skipped[taken.skipped] += 1
        else:
            self._spans += 1
            resource = msgspec.json.encode(taken.resource, order="sorted")
            process = f"otlp-{hashlib.sha256(resource).hexdigest()[:12]}"
            if process not in self._processes:
                self._processes.add(process)
                yield _with_writer(_process(taken), process)
            for record in taken.records:
                self._take_out_moderators(record, taken)
                yield _with_writer(record, process)

    def _take_out_moderators(self, record: Record, taken: TakenSpan) -> None:
        """A moderator who was forgotten: the correction stays, and is nobody's."""
        if not self._tombstones or not any(self._is_forgotten(one, taken.end_time) for one in taken.moderators):
            return
        if isinstance(record, CorrectionMetric):
            if self._is_forgotten(str(record.metadata.get("admin_user_id", "")).removeprefix("#"), record.timestamp):
                record.admin_user_id = 0
                del record.metadata["admin_user_id"]
        elif isinstance(record, ProcessingMetric | SpanEnded) and isinstance(record.events, list):
            for event in record.events:
                if self._is_forgotten(str(event["attributes"].get(names.MODERATOR, "")), event["timestamp"]):
                    event["attributes"][names.MODERATOR] = MARK

    def _is_forgotten(self, sent: str, moment: str) -> bool:
        return bool(sent and self._tombstones and moment <= self._tombstones.until_of_hash(sent))

    def counts(self, batch: ImportedBatch) -> tuple[int, int]:
        """Spans; a correction belongs to the span that brought it."""
        here = sum(batch.known[table] for table in _TABLES_OF_SPANS)
        self.skipped["unreadable"] += len(batch.rejected)
        return self._spans - here - len(batch.rejected), here

    def note(self, connection: sqlite3.Connection) -> None:
        """Nothing: the keys of the rows tell."""


def sessions_of_forgotten(reader: OtlpReader, tombstones: Tombstones, lines: Iterator[bytes]) -> dict[str, str]:
    """Sessions of people who were forgotten, and until when: their other spans do not name anybody."""
    found: dict[str, str] = {}
    for line in lines:
        try:
            for taken in reader.spans(line):
                until = tombstones.until_of_hash(taken.user) if taken.user else ""
                if until and taken.end_time <= until:
                    found[taken.session_id] = max(until, found.get(taken.session_id, ""))
        except (ValueError, RecursionError):
            continue
    return found


def _process(taken: TakenSpan) -> ProcessBegin:
    resource: Json = taken.resource
    pid, host = resource.get("process.pid"), resource.get("host.name", "")
    return ProcessBegin(
        taken.end_time, "info", "process_started", "Process seen by OTLP", pid if isinstance(pid, int) else 0, str(host),
        resource,
    )  # fmt: skip


def _with_writer(record: Record, process: str) -> bytes:
    return encode_line(record)[:-2] + b',"process":"%s"}' % process.encode("ascii")


def _kind_of(line: bytes) -> bytes:
    return line[len(_LINE_START) : line.find(b'"', len(_LINE_START))] if line.startswith(_LINE_START) else b""


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return False
    return True
