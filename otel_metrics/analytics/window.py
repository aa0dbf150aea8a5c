"""Owns the time window of a question: the last so many hours up to now."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from otel_metrics.errors import QueryError

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


def aware(moment: datetime | None) -> datetime | None:
    """A time of ours with its zone, UTC, for who gets it in Python."""
    return None if moment is None else moment.replace(tzinfo=UTC)
