"""Owns what becomes of a line of the log when a person is forgotten: kept, scrubbed, or a mark in its place."""

import re
from collections.abc import Collection
from typing import Any

import msgspec

from otel_metrics.model.records import Forgotten, encode_line
from otel_metrics.store.belongings import SHARED_SESSION, head_of
from otel_metrics.store.lines import number_of, tail_of, writer_of
from otel_metrics.store.scrub import Scrubber

_LINE_START = b'{"kind":"'
_SESSION = re.compile(rb'"session_id":\s*("(?:[^"\\]|\\.)*")')
_MOST_TRIES = 100
_UNREADABLE = (ValueError, UnicodeError, RecursionError)


class Eraser:
    """Takes one person out of lines, which come without their line ends. `timestamp` is when that happens."""

    def __init__(self, scrubber: Scrubber, sessions: Collection[str], timestamp: str) -> None:
        self._scrubber = scrubber
        self._sessions = sessions
        left = Forgotten(timestamp, "debug", "record_forgotten", "Record forgotten")
        self._left = encode_line(left)[:-2]

    def keep(self, line: bytes) -> bytes | None:
        """What stays of a line of the journal; None for nothing at all.

        In the place of a numbered line a mark stays, with its writer and number: otherwise it would count as lost.
        """
        head = head_of(line)
        if head is None:
            return self._keep_torn(line)
        if head.session in self._sessions or (head.session == SHARED_SESSION and head.is_of(self._scrubber)):
            return self._mark_of(line)
        return self._scrubbed(line, str(head.kind))

    def keep_rejected(self, line: bytes) -> bytes | None:
        """What stays of a line that could not be read: nothing if it holds the person in any form."""
        return None if self._is_about(line) else line

    def keep_foreign(self, line: bytes) -> bytes | None:
        """What stays of a line of another program, which may be JSON or plain text."""
        head = head_of(line)
        if head is None:
            return self._scrubbed_text(line)
        if head.session in self._sessions or head.is_of(self._scrubber):
            return None
        return self._scrubbed(line, str(head.kind))

    def _is_about(self, line: bytes) -> bool:
        """Whether a line that can not be decoded, or not as a whole, has to do with the person."""
        if self._scrubber.is_in_raw(line):
            return True
        return any(_decoded(text) in self._sessions for text in _SESSION.findall(line))

    def _mark_of(self, line: bytes) -> bytes | None:
        number = number_of(line)
        return self._left + tail_of(writer_of(line)) + b"%d}" % number if number else None

    def _scrubbed(self, line: bytes, kind: str) -> bytes:
        if not self._scrubber.may_be_in(line):
            return line
        try:
            before = msgspec.json.decode(line)
            after = self._scrubber.record(before, kind)
        except _UNREADABLE:
            return self._scrubbed_text(line)
        return line if _same(before, after) else encode_line(after)[:-1]

    def _scrubbed_text(self, line: bytes) -> bytes:
        if not self._scrubber.may_be_in(line):
            return line
        text = line.decode("utf-8", "surrogateescape")
        return self._scrubber.text(text).encode("utf-8", "surrogateescape")

    def _keep_torn(self, line: bytes) -> bytes | None:
        """A torn line may be followed by a whole one of another writer without a line end between: each for itself."""
        start = line.find(_LINE_START, 1)
        for _ in range(_MOST_TRIES):
            if start < 0:
                break
            torn, whole = line[:start], line[start:]
            if head_of(whole) is not None:
                kept = self.keep(whole)
                return kept if self._is_about(torn) else torn + (kept or b"")
            start = line.find(_LINE_START, start + 1)
        return None if self._is_about(line) else line


def _decoded(text: bytes) -> str:
    try:
        return msgspec.json.decode(text, type=str)
    except _UNREADABLE:
        return ""


def _same(before: Any, after: Any) -> bool:
    """Whether nothing was taken out. Numbers become 0, which must not pass for False."""
    return before == after and msgspec.json.encode(before) == msgspec.json.encode(after)
