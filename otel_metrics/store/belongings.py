"""Owns which sessions are a person's own: what the tables say, and where they say nothing the lines of the log."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from otel_metrics.store.scrub import Scrubber

if TYPE_CHECKING:
    from otel_metrics.store.cold_rows import ColdRows

SHARED_SESSION = "unknown"
"""What records without a session id are filed under: it is nobody's own, and its records are told apart one by one."""
_ABOUT_SESSIONS = ("session", "end")
_LOG = "log"
_BLOCK = 500


class Head(msgspec.Struct):
    """What a line says of whom it is about, as far as it says anything; other programs' lines may hold anything here."""

    kind: Any = ""
    timestamp: Any = ""
    session_id: Any = ""
    user_id: Any = 0
    chat_id: Any = 0

    @property
    def session(self) -> str:
        """The session; empty where the line tells none."""
        return self.session_id if isinstance(self.session_id, str) else ""

    def is_of(self, scrubber: Scrubber) -> bool:
        """Whether the line is about the person: not the logger's, whose fields say nothing about the line itself."""
        return self.kind != _LOG and (scrubber.is_id(self.user_id) or scrubber.is_id(self.chat_id))


_decode = msgspec.json.Decoder(Head).decode


def head_of(line: bytes) -> Head | None:
    """The head of a line; None if that is no JSON object."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Belongings:
    """The sessions of one person. First `meet` every line and the tables, then `judge` by every line in their order."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._touched: set[str] = set()
        self._said: dict[str, bool] = {}
        self._hinted: dict[str, bool] = {}

    @property
    def sessions(self) -> frozenset[str]:
        """A session is own if its row or line says so, else if its first stage does; never against what its row says."""
        return frozenset(
            one for one in self._touched - {"", SHARED_SESSION} if self._said.get(one, self._hinted.get(one, True))
        )

    def meet(self, line: bytes) -> None:
        """Notes the session of a line that names the person; the line's first look is cheap."""
        if not self._scrubber.may_be_in(line):
            return
        head = head_of(line)
        if head is not None and (head.is_of(self._scrubber) or self._scrubber.is_in(head.session)):
            self._touched.add(head.session)

    def judge(self, line: bytes) -> None:
        """Takes what a line says of whose a session is."""
        head = head_of(line) if self._touched else None
        if head is None or head.session not in self._touched or not (head.user_id or head.chat_id):
            return
        if head.kind in _ABOUT_SESSIONS:
            self._said.setdefault(head.session, head.is_of(self._scrubber))
        elif head.kind != _LOG:
            self._hinted.setdefault(head.session, head.is_of(self._scrubber))

    def meet_tables(self, connection: sqlite3.Connection, cold: "ColdRows | None" = None) -> None:
        """Notes the sessions that name the person in the tables or segments, and what their rows say: that counts before any line."""
        number = self._scrubber.number
        for table in ("sessions", "processing_metrics", "running"):
            self._touched |= _column(
                connection, f"SELECT DISTINCT session_id FROM {table} WHERE ? IN (user_id, chat_id)", [number]
            )
        needles = self._scrubber.needles
        holds = " OR ".join(["instr(session_id, ?)"] * len(needles))
        for table in ("sessions", "processing_metrics", "running", "correction_metrics", "spans", "logs"):
            found = _column(connection, f"SELECT DISTINCT session_id FROM {table} WHERE {holds}", needles)
            self._touched |= {one for one in found if self._scrubber.is_in(one)}
        if cold is not None:
            self._touched |= cold.naming(self._scrubber)
            for session_id, user_id, chat_id in cold.owners(self._touched):
                if user_id or chat_id:
                    self._said[session_id] = number in {user_id, chat_id}
        for block in _blocks(sorted(self._touched)):
            marks = ", ".join("?" * len(block))
            for session_id, user_id, chat_id in connection.execute(
                f"SELECT session_id, user_id, chat_id FROM sessions WHERE session_id IN ({marks})", block
            ):
                if user_id or chat_id:
                    self._said[session_id] = number in {user_id, chat_id}


def _column(connection: sqlite3.Connection, query: str, values: Iterable[object]) -> set[str]:
    return {row[0] for row in connection.execute(query, list(values))}


def _blocks(items: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(items), _BLOCK):
        yield items[start : start + _BLOCK]
