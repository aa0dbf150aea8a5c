"""Owns the time window of a question: the last so many hours up to now, or a period between two times."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from otel_metrics.errors import QueryError
from otel_metrics.model.times import TIME_FORMS, TimeInput, to_ns

_EPOCH = datetime.fromisoformat("1970-01-01")  # no zone: DuckDB's TIMESTAMP has none
_MOST_HOURS = 24 * 365.25 * 50


@dataclass(frozen=True, slots=True)
class Window:
    """From `since`, which is out, to `until`, which is in; both UTC without a zone, as DuckDB's TIMESTAMP is."""

    since: datetime
    until: datetime

    def parameters(self) -> dict[str, datetime]:
        """The window as parameters of a statement."""
        return {"since": self.since, "until": self.until}


def last_hours(hours: float, now_ns: int) -> Window:
    """The window of the last `hours`, a number above 0; `QueryError` for anything else."""
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not math.isfinite(hours) or hours <= 0:
        raise QueryError(f"hours={hours!r}", "a number above 0", "for example 24")
    until = _EPOCH + timedelta(microseconds=now_ns // 1000)
    return Window(until - timedelta(hours=min(hours, _MOST_HOURS)), until)


def period(hours: float, since: TimeInput | None, until: TimeInput | None, now_ns: int) -> Window:
    """From `since` to `until`; without an `until` up to now, without a `since` the `hours` before the end."""
    last = last_hours(hours, now_ns)
    end = last.until if until is None else time_of("until", until)
    begin = end - (last.until - last.since) if since is None else time_of("since", since)
    if begin >= end:
        raise QueryError(f"a period from {begin} to {end} UTC", "a beginning before the end", "give other times")
    return Window(begin, end)


def time_of(name: str, given: TimeInput) -> datetime:
    """A time that somebody gave, UTC without a zone; `QueryError` where it can not be read."""
    try:
        return _EPOCH + timedelta(microseconds=to_ns(given) // 1000)
    except (ValueError, OverflowError, OSError, TypeError) as error:
        raise QueryError(f"{name}={given!r} can not be read", TIME_FORMS, "for example 2026-01-31T12:00:00Z") from error


def aware(moment: datetime | None) -> datetime | None:
    """A time of ours with its zone, UTC, for who gets it in Python."""
    return None if moment is None else moment.replace(tzinfo=UTC)
