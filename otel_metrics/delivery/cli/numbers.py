"""Owns how numbers read: durations, counts, percentages, sizes and times of day, each short and of one form."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

NONE = "–"
_SECOND, _MINUTE, _HOUR, _DAY = 1e3, 60e3, 3600e3, 86400e3


def duration(ms: float | None) -> str:
    """Milliseconds as people say them, at most six characters below a thousand days: 41ms, 3.21s, 12m04s, 1h02m, 3d04h."""
    if ms is None:
        return NONE
    if ms < 0:
        return f"-{duration(-ms)}"
    if ms < 9.95:
        return f"{ms:.1f}ms" if ms >= 0.05 else "0ms"
    if ms < 999.5:
        return f"{ms:.0f}ms"
    if ms < 9.995 * _SECOND:
        return f"{ms / _SECOND:.2f}s"
    if ms < 59.95 * _SECOND:
        return f"{ms / _SECOND:.1f}s"
    seconds = round(ms / _SECOND)
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    minutes = round(ms / _MINUTE)
    if minutes < 24 * 60:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    hours = round(ms / _HOUR)
    return f"{hours // 24}d{hours % 24:02d}h" if hours < 100 * 24 else f"{round(ms / _DAY):,}d"


def tick(ms: float) -> str:
    """A round duration on an axis: 0, 200ms, 5s, 15m, 1h30m."""
    if ms == 0:
        return "0"
    if ms < _SECOND:
        return f"{ms:g}ms"
    if ms < _MINUTE:
        return f"{ms / _SECOND:g}s"
    return duration(ms).replace("m00s", "m").replace("h00m", "h").replace("d00h", "d")


def count(number: float | None) -> str:
    """A whole number with its thousands apart."""
    return NONE if number is None else f"{number:,.0f}"


def percent(number: float | None) -> str:
    """A percentage with one digit behind the point; 100 % is only said of all."""
    if number is None:
        return NONE
    if 99.95 <= number < 100:
        return "99.9%"
    return "100%" if number == 100 else f"{number:.1f}%"


def stars(satisfaction: float | None) -> str:
    """A satisfaction of 1 to 5 as five stars."""
    if satisfaction is None:
        return NONE
    full = min(5, max(0, round(satisfaction)))
    return "★" * full + "☆" * (5 - full)


def mean_of_five(satisfaction: float | None) -> str:
    """A mean satisfaction as a number with a star."""
    return NONE if satisfaction is None else f"{satisfaction:.1f}★"


@lru_cache(maxsize=4)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def moment(time: datetime | None, zone: str, *, seconds: bool = False) -> str:
    """A time as month, day and time of day in the zone of the settings."""
    if time is None:
        return NONE
    return time.astimezone(_zone(zone)).strftime("%m-%d %H:%M:%S" if seconds else "%m-%d %H:%M")


def date_and_time(time: datetime, zone: str) -> str:
    """A time with its year and seconds in the zone of the settings."""
    return time.astimezone(_zone(zone)).strftime("%Y-%m-%d %H:%M:%S")


def time_of_day(time: datetime, zone: str) -> str:
    """The time of day with seconds in the zone of the settings."""
    return time.astimezone(_zone(zone)).strftime("%H:%M:%S")


def since(time: datetime, now: datetime | None = None) -> float:
    """Milliseconds from a time to now."""
    return ((now or datetime.now(UTC)) - time).total_seconds() * 1000


def hours_in_words(hours: float) -> str:
    """A window as people say it: last hour, last 24 hours, last 7 days."""
    if hours == 1:
        return "last hour"
    if hours > 48 and hours % 24 == 0:
        return f"last {hours / 24:g} days"
    return f"last {hours:g} hours" if hours > 1 else f"last {hours * 60:g} minutes"
