"""Owns how ids are made and derived: a session's trace and root span, numbers for foreign ids, keyed hashes on the way out."""

import hashlib
import hmac
import os
import re
import zlib
from functools import lru_cache

from otel_metrics.model.values import text_of

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_PREFIX = b"otel_metrics/1/"  # a version: another rule for deriving ids would get another prefix
_ID_63_BITS = (1 << 63) - 1
_NOT_AN_UUID = "0"  # the digit at place 16 of our ids; an RFC 9562 UUID has 8, 9, a or b there


def new_session_id(time_ns: int) -> str:
    """32 lower-case hex digits: 8 of epoch seconds, 5 of microseconds, 4 that mark it as ours, 15 random ones (60 bits).

    The time in front keeps database keys in order and tells every process when the session began.
    """
    seconds, rest = divmod(time_ns, 1_000_000_000)
    moment = f"{seconds & 0xFFFFFFFF:08x}{rest // 1000:05x}"
    return f"{moment}{_mark(moment)}{os.urandom(8).hex()[:15]}"


def _mark(moment: str) -> str:
    """A check over the time, so that a random trace id of others passes for ours once in a hundred thousand times."""
    return f"{zlib.crc32(moment.encode()) & 0xFFF:03x}{_NOT_AN_UUID}"


def session_start_ns(session_id: str) -> int | None:
    """When a session began, to the microsecond, if its id is one of `new_session_id`; None for any other string."""
    if not _TRACE_ID.fullmatch(session_id) or session_id[13:17] != _mark(session_id[:13]):
        return None
    microseconds = int(session_id[8:13], 16)
    seconds = int(session_id[:8], 16)
    if microseconds > 999_999 or not _YEAR_2020 <= seconds <= _YEAR_2100:
        return None
    return seconds * 1_000_000_000 + microseconds * 1000


_YEAR_2020, _YEAR_2100 = 1_577_836_800, 4_102_444_800


def trace_id_of(session_id: str) -> int:
    """The trace id of a session: the id itself where it is 32 hex digits, else 16 bytes of a SHA-256 over it."""
    if _TRACE_ID.fullmatch(session_id) and session_id.strip("0"):
        return int(session_id, 16)
    digest = hashlib.sha256(_PREFIX + b"trace/" + session_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:16], "big") or 1


def root_span_id_of(trace_id: int) -> int:
    """The id of a session's root span, the same in every process: nobody has to hold the root open."""
    digest = hashlib.sha256(_PREFIX + b"root/" + trace_id.to_bytes(16, "big")).digest()
    return int.from_bytes(digest[:8], "big") or 1


def wait_span_id_of(trace_id: int, start_ns: int) -> int:
    """The id of the span of a draft's wait that began then, the same in every process: told twice it is still one wait."""
    moment = (start_ns // 1000).to_bytes(8, "big", signed=True)
    digest = hashlib.sha256(_PREFIX + b"wait/" + trace_id.to_bytes(16, "big") + moment).digest()
    return int.from_bytes(digest[:8], "big") or 1


def record_id(start_ns: int, span_id: int) -> str:
    """The key of a record: start in microseconds, then the span id; ordered by time, so that an index on it stays cheap."""
    return f"{start_ns // 1000 & 0xFFFFFFFFFFFFFF:014x}{span_id:016x}"


def as_integer_id(value: object) -> tuple[int, object | None]:
    """An id as the integer that the tables hold, and the original where it was not one.

    Integers of 63 bits and their decimal text stay as they are; None and empty text are 0; anything else
    becomes the first 63 bits of a SHA-256, stable across processes.
    """
    if value is None or (isinstance(value, str) and not value):
        return 0, None
    if isinstance(value, int) and not isinstance(value, bool) and -_ID_63_BITS <= value <= _ID_63_BITS:
        return int(value), None
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.removeprefix("-").isdigit():
        number = int(value)
        if -_ID_63_BITS <= number <= _ID_63_BITS:
            return number, None
    digest = hashlib.sha256(_PREFIX + b"id/" + text_of(value).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") & _ID_63_BITS, value


class IdHasher:
    """Keyed hashes (HMAC-SHA256, 16 hex digits): equal values stay equal, and nobody without the key can go back."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.hash = lru_cache(maxsize=8192)(self._hash)

    def _hash(self, kind: str, value: int | str) -> str:
        return self._digest(kind, str(value).encode())

    def text(self, text: str) -> str:
        """The hash of a text, by which two can be told apart where neither is kept. Lone surrogates count as they are."""
        return self._digest("text", text.encode("utf-8", "surrogatepass"))

    def _digest(self, kind: str, value: bytes) -> str:
        return hmac.new(self._key, _PREFIX + kind.encode() + b"/" + value, "sha256").hexdigest()[:16]
