"""Owns the tombstones: who was forgotten until when, as keyed hashes in a file, so that no old log brings them back."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from otel_metrics.model.identity import IdHasher, as_integer_id
from otel_metrics.model.records import FileBegin
from otel_metrics.model.times import iso
from otel_metrics.store.belongings import Belongings, head_of
from otel_metrics.store.eraser import Eraser
from otel_metrics.store.journal_files import sync_folder
from otel_metrics.store.layout import StoreLayout, open_private
from otel_metrics.store.places import header_or_stand_in
from otel_metrics.store.scrub import Scrubber

_KIND = "forget"
Lines = Callable[[], Iterable[bytes]]
_NUMBER = re.compile(rb'_id":"?(-?[0-9]{1,19})(?![0-9])|(?<![0-9A-Za-z])(?<![0-9]\.)(-?[0-9]{5,19})(?![0-9A-Za-z])')


class Tombstone(msgspec.Struct, frozen=True):
    """One line of the file. What is older than `until` (ISO-8601 UTC) is forgotten, what came later is not."""

    hash: str
    until: str
    sent: tuple[str, ...] = ()
    """Hashes of the hashes under which the person's id was sent by OTLP, so that it does not come back from there."""


_decode = msgspec.json.Decoder(Tombstone).decode


def bury(layout: StoreLayout, hasher: IdHasher, number: int, now_ns: int) -> None:
    """Writes a tombstone, to the disk. The id itself is written nowhere."""
    layout.prepare()
    sent = tuple(hasher.text(hasher.hash(kind, number)) for kind in ("user", "chat", "moderator"))
    line = msgspec.json.encode(Tombstone(hasher.hash(_KIND, number), iso(now_ns), sent)) + b"\n"
    descriptor = open_private(layout.tombstones_file, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line  # an earlier one died while it wrote
        if os.write(descriptor, line) != len(line):
            raise OSError(28, "the disk took only a part of a line", str(layout.tombstones_file))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(layout.tombstones_file.parent)


class Tombstones:
    """For a rebuild of the tables: takes forgotten people out of lines of the log. False where nobody was forgotten.

    Only hashes are known, so the first use reads the log files of the store, three times: for who it is, and for which
    sessions are theirs.
    """

    def __init__(
        self, layout: StoreLayout, hasher: IdHasher, until: dict[str, str], lines: Lines | None = None
    ) -> None:
        self._layout = layout
        self._lines: Lines = lines or self._own_lines
        self._hasher = hasher
        self._until = until
        self._newest = max(until.values(), default="")
        self._until_of = lru_cache(maxsize=65_536)(self._look_up)
        self._erasers: list[tuple[str, Eraser]] | None = None

    @classmethod
    def load(cls, layout: StoreLayout, hasher: IdHasher, lines: Lines | None = None) -> "Tombstones":
        """Those of a store; of several for one id the newest counts. Lines that can not be read are passed over.

        `lines` gives the lines that are to be filtered, where these are not the store's own logs.
        """
        until: dict[str, str] = {}
        try:
            stones = layout.tombstones_file.read_bytes().split(b"\n")
        except FileNotFoundError:
            stones = []
        for line in stones:
            try:
                stone = _decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            for one in (stone.hash, *stone.sent):
                until[one] = max(stone.until, until.get(one, ""))
        return cls(layout, hasher, until, lines)

    def __bool__(self) -> bool:
        return bool(self._until)

    def until_of(self, number: int) -> str:
        """Until when the person of an id is forgotten (ISO-8601 UTC); empty for everybody else."""
        return self._until_of(number)

    def until_of_hash(self, sent: str) -> str:
        """The same of an id as it was sent by OTLP, with this store's key."""
        return self._until.get(self._hasher.text(sent), "")

    def applies_to(self, header: FileBegin) -> bool:
        """Whether a log file may hold forgotten people: it began before the newest tombstone."""
        return header.timestamp <= self._newest

    def filter(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The lines, which come without their line ends, as far as they stay."""
        for line in lines:
            kept = self.keep(line)
            if kept is not None:
                yield kept

    def keep(self, line: bytes) -> bytes | None:
        """What stays of one line: the line, the line scrubbed, a mark in its place, or None for nothing at all."""
        if not self._until or not line:
            return line
        if self._erasers is None:
            self._erasers = list(self._study())
        head = head_of(line)
        moment = head.timestamp if head is not None and isinstance(head.timestamp, str) else ""
        kept: bytes | None = line
        for until, eraser in self._erasers:
            if kept is not None and moment <= until:
                kept = eraser.keep(kept)
        return kept

    def _study(self) -> Iterator[tuple[str, Eraser]]:
        """Finds out who was forgotten, and which sessions are theirs."""
        people: dict[int, object | None] = {}
        for line in self._lines():
            self._find_people(line, people)
        found = []
        for number, original in people.items():
            scrubber = Scrubber(number, original, self._hasher)
            found.append((self._until_of(number), scrubber, Belongings(scrubber)))
        for line in self._lines() if found else ():
            for _, _, belongings in found:
                belongings.meet(line)
        for line in self._lines() if found else ():
            for _, _, belongings in found:
                belongings.judge(line)
        for until, scrubber, belongings in found:
            yield until, Eraser(scrubber, belongings.sessions, until)

    def _find_people(self, line: bytes, people: dict[int, object | None]) -> None:
        for groups in _NUMBER.findall(line):
            number = int(groups[0] or groups[1])
            if self._until_of(number) and people.get(number) is None:
                people[number] = _original_of(number, line)

    def _look_up(self, number: int) -> str:
        return self._until.get(self._hasher.hash(_KIND, number), "") if number else ""

    def _own_lines(self) -> Iterator[bytes]:
        for path in self._layout.journal_files():
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue
            with file:
                header = header_or_stand_in(file)
                if header is not None and self.applies_to(header):
                    file.seek(0)
                    for line in file:
                        yield line.rstrip(b"\n")


def _original_of(number: int, line: bytes) -> object | None:
    """The text that the number was made of, which stands beside it in the metadata of the first lines that have it."""
    try:
        values: list[Any] = [msgspec.json.decode(line)]
    except (ValueError, RecursionError):
        return None
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value
        elif isinstance(value, str) and as_integer_id(value) == (number, value):
            return value
    return None
