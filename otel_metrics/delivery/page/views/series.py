"""Owns the charts over time that several views show."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from otel_metrics.delivery.cli.numbers import count, duration
from otel_metrics.delivery.page.card import Card
from otel_metrics.delivery.page.charts import bars, chart, line
from otel_metrics.delivery.page.place import Place

_DAY_S = 86_400


def labels(steps: list[dict[str, Any]], step_s: float, place: Place, zone: str) -> list[str]:
    """The steps' beginnings, as short as the range allows."""
    form = "%m-%d" if step_s >= _DAY_S else "%m-%d %H:%M" if place.hours > 24 else "%H:%M"
    return [_local(one["step_at"], zone).strftime(form) for one in steps]


def _local(time: datetime, zone: str) -> datetime:
    return time.astimezone(ZoneInfo(zone))


def throughput(course: dict[str, Any], place: Place, zone: str, *, span: int) -> Card:
    """How many sessions ended their last stage in each step."""
    steps = course["steps"]
    numbers = [one["sessions"] for one in steps]
    options = chart(labels(steps, course["step_s"], place, zone), [bars("sessions", numbers)])
    most = max(numbers, default=0)
    summary = f"Sessions in steps of {duration(course['step_s'] * 1000)}: {count(sum(numbers))} in all, at most {count(most)} in one."
    return Card("throughput", "Throughput", chart=options, summary=summary, span=span, height_px=190)


def end_to_end(course: dict[str, Any], place: Place, zone: str, *, span: int) -> Card:
    """Half of the sessions of each step, and nineteen of twenty, were this quick."""
    steps = course["steps"]
    series = [
        line("p50", [one["p50_ms"] for one in steps], 0, area=True),
        line("p95", [one["p95_ms"] for one in steps], 1),
    ]
    options = chart(labels(steps, course["step_s"], place, zone), series, "ms")
    worst = max((one["p95_ms"] for one in steps if one["p95_ms"] is not None), default=None)
    summary = f"End-to-end times in steps of {duration(course['step_s'] * 1000)}; the worst p95 is {duration(worst)}."
    return Card("end-to-end", "End to end over time", chart=options, summary=summary, span=span, height_px=400)
