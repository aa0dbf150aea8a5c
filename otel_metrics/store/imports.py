"""Owns the taking in of files from elsewhere: some lines at a time, each batch with the place behind it in one transaction."""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec

from otel_metrics.errors import SettingError, StoreError
from otel_metrics.model.identity import IdHasher
from otel_metrics.model.times import iso
from otel_metrics.settings import Settings
from otel_metrics.store.batch import REFUSED, read_one_by_one
from otel_metrics.store.cold_rows import OpensColdRows
from otel_metrics.store.database import roll_back
from otel_metrics.store.import_batch import ImportedBatch, KnowsColdRows
from otel_metrics.store.import_files import (
    TAIL,
    FoundLine,
    ImportFile,
    before,
    digest,
    lines_from,
    opened,
    recognised,
    torn_bytes,
)
from otel_metrics.store.import_sources import JournalSource, OtlpSource, Source, sessions_of_forgotten
from otel_metrics.store.key import load_key
from otel_metrics.store.otlp_json import OtlpReader
from otel_metrics.store.own_files import is_of_store
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.store.tombstones import Tombstones

_WAIT_S = 30.0
_MOST_LINES = 5_000
_MOST_BYTES = 8 << 20
Progress = Callable[[int, int], object]


@dataclass(slots=True)
class ImportedFile:
    """What came of one file: records stored and known before, what was left out by reason, and bytes of a last line without its end."""

    path: Path
    kind: str = ""
    stored: int = 0
    known: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    unfinished_bytes: int = 0


class Import:
    """One run over some files. Whatever it is stopped by, the next one goes on behind what is stored."""

    def __init__(self, storage: MetricsStorage, settings: Settings, opens: OpensColdRows, progress: Progress) -> None:
        self._storage = storage
        self._opens = opens
        self._progress = progress
        self._settings = settings
        self._reader = OtlpReader(settings.text_limit, keeps_texts=settings.capture_content)
        self._files: list[ImportFile] = []
        self._tombstones: Tombstones | None = None
        self._tombstones_state = (0, 0)
        self._forgotten: dict[str, str] | None = None

    def run(self, paths: Sequence[Path]) -> list[ImportedFile]:
        """Takes the files in, in this order. Raises `SettingError` for one that can not be, before any is read."""
        self._storage.layout.prepare()
        for path in paths:
            if is_of_store(self._storage.layout, path):
                raise SettingError(
                    f"{path} is a file of this very store", "files of other hosts", "its log is read by every command"
                )
        known = [recognised(path) for path in paths]
        self._files = [one for one in known if one is not None]
        reports = []
        for path, file in zip(paths, known, strict=True):
            report = ImportedFile(path)
            reports.append(report)
            if file is not None:
                report.kind = file.kind
                self._take(file, report)
            else:
                report.unfinished_bytes = path.stat().st_size
        return reports

    def _take(self, file: ImportFile, report: ImportedFile) -> None:
        size = file.path.stat().st_size
        with opened(file.path) as stream:
            place = _Place(stream)
            while True:
                with self._storage.alone(_WAIT_S) as connection:
                    if connection is None:
                        raise StoreError(
                            f"another process has kept the tables for {_WAIT_S:g} s", "that it lets go", "try again"
                        )
                    place.find(connection, file.source)
                    chunk = place.next()
                    if not chunk:
                        break
                    self._store(connection, file, chunk, place, report)
                self._progress(min(place.offset, size), size)
            report.unfinished_bytes = torn_bytes(stream, place.offset)

    def _store(
        self,
        connection: sqlite3.Connection,
        file: ImportFile,
        chunk: Sequence[FoundLine],
        place: "_Place",
        report: ImportedFile,
    ) -> None:
        """One transaction: the rows of the chunk, what they were known by, and the offset behind it."""
        source = self._source(connection, file)
        lines = source.lines([found.line for found in chunk if found.line is not None])
        source.skipped["too_long"] += sum(found.line is None for found in chunk)
        cold, is_otlp = self._knower(connection), file.kind == "otlp"
        connection.execute("BEGIN IMMEDIATE")
        try:
            batch = ImportedBatch(lines, cold, is_hearsay=is_otlp)
            try:
                batch.insert(connection)
            except REFUSED:
                roll_back(connection)
                batch = read_one_by_one(connection, lines, lambda part: ImportedBatch(part, cold, is_hearsay=is_otlp))
                connection.execute("BEGIN IMMEDIATE")
                batch.insert(connection)
            source.note(connection)
            stored, known = source.counts(batch)
            place.advance(chunk)
            self._note(connection, file, place, stored, known, +source.skipped)
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise
        report.stored += stored
        report.known += known
        report.skipped += source.skipped

    def _source(self, connection: sqlite3.Connection, file: ImportFile) -> Source:
        self._look_at_tombstones()
        if file.kind == "journal":
            return JournalSource(connection, file.path.name, self._tombstones)
        return OtlpSource(self._reader, self._tombstones, self._forgotten_sessions)

    def _look_at_tombstones(self) -> None:
        """Somebody may be forgotten while an import runs."""
        path = self._storage.layout.tombstones_file
        try:
            status = path.stat()
        except FileNotFoundError:
            return
        if self._tombstones_state != (status.st_size, status.st_mtime_ns):
            self._tombstones_state = (status.st_size, status.st_mtime_ns)
            hasher = IdHasher(load_key(self._storage.layout, self._settings.id_key))
            self._tombstones = Tombstones.load(self._storage.layout, hasher, lambda: self._all_lines("journal"))
            self._forgotten = None

    def _forgotten_sessions(self) -> dict[str, str]:
        if self._forgotten is None:
            assert self._tombstones is not None
            self._forgotten = sessions_of_forgotten(self._reader, self._tombstones, self._all_lines("otlp"))
        return self._forgotten

    def _all_lines(self, kind: str) -> Iterator[bytes]:
        for file in self._files:
            if file.kind == kind:
                with opened(file.path) as stream:
                    yield from (found.line for found in lines_from(stream, 0) if found.line is not None)

    def _knower(self, connection: sqlite3.Connection) -> KnowsColdRows:
        return self._opens(connection, self._storage.layout).known

    @staticmethod
    def _note(
        connection: sqlite3.Connection,
        file: ImportFile,
        place: "_Place",
        stored: int,
        known: int,
        skipped: Counter[str],
    ) -> None:
        row = connection.execute("SELECT skipped FROM imports WHERE source = ?", (file.source,)).fetchone()
        if row and row[0]:
            skipped = skipped + Counter(msgspec.json.decode(row[0], type=dict[str, int]))
        connection.execute(
            "INSERT INTO imports (source, kind, name, imported_at, offset, tail, stored, known, skipped) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source) DO UPDATE SET name = excluded.name, "
            "imported_at = excluded.imported_at, offset = excluded.offset, tail = excluded.tail, "
            "stored = stored + excluded.stored, known = known + excluded.known, skipped = excluded.skipped",
            (
                file.source, file.kind, file.path.name, iso(time.time_ns()), place.offset, place.tail, stored, known,
                msgspec.json.encode(skipped).decode(),
            ),
        )  # fmt: skip


class _Place:
    """Where a file is read on: behind what the tables have of it, if what stands before is what stood there.

    It is read straight on: going back in a gzipped file means to unpack it anew.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: Iterator[FoundLine] = iter(())
        self._before = b""
        self.offset = -1

    @property
    def tail(self) -> str:
        """A digest of what stands before the place."""
        return digest(self._before)

    def find(self, connection: sqlite3.Connection, source: str) -> None:
        """Looks where to go on; another process may import the same file."""
        row = connection.execute("SELECT offset, tail FROM imports WHERE source = ?", (source,)).fetchone()
        offset, tail = row or (0, digest(b""))
        if self.offset >= 0 and offset <= self.offset:
            return
        self._before = before(self._stream, offset)
        self.offset = offset if digest(self._before) == tail else 0
        self._before = self._before if self.offset else b""
        self._lines = lines_from(self._stream, self.offset)

    def next(self) -> list[FoundLine]:
        """The next lines, as many as one transaction takes."""
        chunk: list[FoundLine] = []
        size = 0
        for found in self._lines:
            chunk.append(found)
            size += len(found.line or b"")
            if len(chunk) >= _MOST_LINES or size >= _MOST_BYTES:
                break
        return chunk

    def advance(self, chunk: Sequence[FoundLine]) -> None:
        """Goes behind what was stored. Before a line that is too long nothing is known: then all is read again, which is known."""
        self.offset = chunk[-1].end
        for found in chunk:
            self._before = b"" if found.line is None else (self._before[-TAIL:] + found.line[-TAIL:] + b"\n")[-TAIL:]
