"""Owns how many hours of a period fall on each hour of day and each weekday of a time zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_HOUR_S = 3600.0


def covered_hours(since: datetime, until: datetime, zone: str) -> tuple[list[float], list[float]]:
    """Hours of the period by hour of day (0 to 23) and by weekday (Monday first), on the clocks of the zone.

    Times are UTC without a zone. Whole weeks beyond two are counted and not walked: a change of the clocks in them is an
    hour in many.
    """
    by_hour, by_weekday = [0.0] * 24, [0.0] * 7
    place = ZoneInfo(zone)
    whole_weeks = max(0, (until - since).days // 7 - 1)
    moment, end = since + timedelta(weeks=whole_weeks), until
    while moment < end:
        local = moment.replace(tzinfo=UTC).astimezone(place)
        into_s = local.minute * 60 + local.second + local.microsecond / 1e6
        step_s = min(_HOUR_S - into_s, (end - moment).total_seconds())
        by_hour[local.hour] += step_s / _HOUR_S
        by_weekday[local.weekday()] += step_s / _HOUR_S
        moment += timedelta(seconds=max(step_s, 1e-6))
    return [hours + 7 * whole_weeks for hours in by_hour], [hours + 24 * whole_weeks for hours in by_weekday]
