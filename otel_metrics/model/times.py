"""Owns times: what callers may give, epoch nanoseconds inside, ISO-8601 UTC text of fixed width outside."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

TIME_FORMS = "a datetime, epoch seconds or ISO-8601 text"
TimeInput = datetime | float | int | str


class Clock(Protocol):
    """Where times come from, so that a test or a demo can bring its own."""

    def time_ns(self) -> int:
        """The time of day in nanoseconds since the epoch."""
        ...

    def perf_counter_ns(self) -> int:
        """A count of nanoseconds that never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    time_ns: Callable[[], int] = staticmethod(time.time_ns)
    perf_counter_ns: Callable[[], int] = staticmethod(time.perf_counter_ns)


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds))


def iso(time_ns: int) -> str:
    """Epoch nanoseconds as text: `2026-01-31T23:59:59.000001Z`, always 27 characters (years 1970 to 9999)."""
    if not 0 <= time_ns <= _LAST_NS:
        time_ns = 0 if time_ns < 0 else _LAST_NS
    seconds = time_ns // 1_000_000_000
    return f"{_second(seconds)}{(time_ns - seconds * 1_000_000_000) // 1000:06d}Z"


_LAST_NS = 253_402_300_799_999_999_999  # the end of the year 9999, the last that fits the width


def to_ns(value: TimeInput) -> int:
    """Epoch nanoseconds of a datetime (naive: local time), epoch seconds or ISO-8601 text; `ValueError` for anything else."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, datetime):
        whole = value.astimezone(UTC)
        seconds = (whole - _EPOCH).days * 86_400 + (whole - _EPOCH).seconds
        return seconds * 1_000_000_000 + whole.microsecond * 1000
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return round(value * 1_000_000) * 1000
        except OverflowError as error:  # infinity
            raise ValueError(f"{value!r} is not {TIME_FORMS}") from error
    raise ValueError(f"{value!r} is not {TIME_FORMS}")


def our_ns(text: str) -> int:
    """`to_ns` of a text that `iso` made, in a third of the time; any other text is read as `to_ns` reads it."""
    if len(text) == _WIDTH and text.endswith("Z") and text[20:26].isdigit():
        return _whole_second(text[:19]) + int(text[20:26]) * 1000
    return to_ns(text)


@lru_cache(maxsize=4096)
def _whole_second(text: str) -> int:
    return to_ns(f"{text}+00:00")


_WIDTH = 27
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
