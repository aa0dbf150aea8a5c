"""Owns the hours of a week: their names, and how long a span of time covers each of them in a zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
Week = list[list[float]]

_QUARTER = timedelta(minutes=15)  # no zone's hours begin in between since 1972


def hours_covered(since: datetime, until: datetime, zone: str) -> Week:
    """How many hours of [since, until) (UTC, without zone) fall into each hour of the week: 7 days from Monday, 24 hours each."""
    week = [[0.0] * 24 for _ in range(7)]
    local = ZoneInfo(zone)
    moment = since
    while moment < until:
        quarter = moment.replace(minute=moment.minute - moment.minute % 15, second=0, microsecond=0)
        following = min(quarter + _QUARTER, until)
        place = moment.replace(tzinfo=UTC).astimezone(local)
        week[place.weekday()][place.hour] += (following - moment).total_seconds() / 3600
        moment = following
    return week


def hour_name(weekday: int, hour: int) -> str:
    """An hour of the week as people say it: Monday 14–15."""
    return f"{WEEKDAYS[weekday]} {hour:02d}–{(hour + 1) % 24:02d}"
