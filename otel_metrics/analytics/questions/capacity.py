"""Owns the questions about queue and capacity: arrivals by hour of the week, and how many moderators a waiting time needs."""

import math
from datetime import datetime, timedelta
from typing import Any

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.erlang import servers_needed
from otel_metrics.analytics.questions.capacity_words import sentences_of
from otel_metrics.analytics.questions.document import Document, Record, row, rows
from otel_metrics.analytics.questions.unknown import known
from otel_metrics.analytics.questions.week import Week, hour_name, hours_covered
from otel_metrics.analytics.sessions import in_flight
from otel_metrics.analytics.window import Window, aware
from otel_metrics.errors import QueryError
from otel_metrics.settings import Settings

WEEKS = 4.0
"""The history that the hours of the week are reckoned from, where nobody asks for another."""
LEAST_REVIEWS = 20
"""Of fewer reviews the mean handling time says too little to plan people by."""
LEAST_HOURS = 1.0
"""An hour of the week that the store covers for less than this, in hours, has no mean."""
_BUSIEST = 8
_HOUR_MS = 3_600_000.0


def capacity(
    engine: Asking, window: Window, settings: Settings, target_wait_minutes: float = 10.0, target_share: float = 0.8,
    weeks: float | None = WEEKS,
) -> Document:  # fmt: skip
    """The queue now, how long drafts waited in the window, and how many moderators each hour of the week needs.

    `waiting`, `waiting_p50_ms`, `waiting_max_ms`: drafts that wait now, and for how long.
    `drafts`: arrivals at moderation in the window: a moderation_queue stage, in a session without one the last successful
    ai_processing unless it was sent without review. `picked_up` of them; `wait_p50_ms`, `wait_p90_ms` of those.
    `in_time_share`: those picked up within the target, of those picked up or waiting longer than the target already.
    The history is the last `weeks`, or the window where that is longer or `weeks` is None;
    it begins at `history_since` and ends at `history_until`. From it: `handling_mean_ms`, `handling_p90_ms`
    (admin_review and correction_processing of a session together), `week.drafts_per_hour` and
    `week.needed` (7 days from Monday, 24 hours each, in the zone of the settings), `busiest` (the busiest
    hours as rows; `weeks`: how often the store covers the hour). `present`: different moderators who end a review in such an hour, mean.
    `load_erlangs`: arrivals per hour times mean handling time in hours. `needed`: the least number with whom
    `target_share` of the drafts wait at most the target by Erlang's second formula; see `analytics.erlang`.
    None where there is too little: the hour is covered for less than `LEAST_HOURS`, or there are fewer than
    `LEAST_REVIEWS` reviews (`enough`: false).
    """
    _check(target_wait_minutes, target_share, weeks)
    history = window.since if weeks is None else min(window.since, window.until - timedelta(weeks=weeks))
    target_ms = target_wait_minutes * 60_000.0
    work = row(engine, "capacity_coverage", since=history, until=window.until)
    found = rows(
        engine, "capacity_arrivals", history=history, until=window.until, since=window.since, target_ms=target_ms,
        zone=settings.timezone,
    )  # fmt: skip
    present = rows(engine, "capacity_present", since=history, until=window.until, zone=settings.timezone)
    covered = _covered(work["first_start"], history, window.until, settings.timezone)
    enough = work["reviews"] >= LEAST_REVIEWS
    handling_ms = work["handling_mean_ms"]
    hours = _hours(found, present, covered)
    for one in hours:
        per_hour = one["drafts_per_hour"]
        one["load_erlangs"] = load = None if per_hour is None or not enough else per_hour * handling_ms / _HOUR_MS
        one["needed"] = None if load is None else servers_needed(load, handling_ms, target_ms, target_share)
    busiest = sorted(
        (one for one in hours if one["drafts_per_hour"]), key=lambda one: one["drafts_per_hour"], reverse=True
    )
    document = {
        **known(engine, _queue(engine, window, settings)),
        **_waits(found),
        "target_wait_ms": target_ms,
        "target_share": target_share,
        "history_since": aware(history),
        "history_until": aware(window.until),
        "weeks_covered": sum(map(sum, covered)) / 168,
        "reviews": work["reviews"],
        "enough": enough,
        "handling_mean_ms": handling_ms,
        "handling_p90_ms": (work["handling_quantiles_ms"] or [None, None])[1],
        "peak_hour": busiest[0]["hour"] if busiest else None,
        "peak_drafts_per_hour": busiest[0]["drafts_per_hour"] if busiest else None,
        "peak_moderators_needed": busiest[0]["needed"] if busiest else None,
        "busiest": busiest[:_BUSIEST],
        "week": {name: _grid(hours, name) for name in ("drafts_per_hour", "needed")},
    }
    return {"sentences": sentences_of(document, hours, LEAST_REVIEWS), **document}


def _check(target_wait_minutes: Any, target_share: Any, weeks: Any) -> None:
    for name, value, high in (
        ("target_wait_minutes", target_wait_minutes, 100_000.0), ("target_share", target_share, 1.0), ("weeks", WEEKS if weeks is None else weeks, 530.0),
    ):  # fmt: skip
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not is_number or not 0 < value <= high or (high == 1.0 and value == 1):
            span = "a number above 0 and below 1" if high == 1.0 else f"a number above 0, at most {high:g}"
            raise QueryError(f"{name}={value!r}", span, "for example 0.8" if high == 1.0 else "for example 4")


def _queue(engine: Asking, window: Window, settings: Settings) -> Record:
    ages = sorted(draft["age_ms"] for draft in in_flight(engine, window, settings.session_timeout_hours)["waiting"])
    middle = len(ages) // 2
    return {
        "waiting": len(ages),
        "waiting_p50_ms": (ages[middle] + ages[~middle]) / 2 if ages else None,
        "waiting_max_ms": ages[-1] if ages else None,
    }


def _waits(found: list[Record]) -> Record:
    """The window's row of the arrivals."""
    whole: Record = next((one for one in found if one["weekday"] is None), {})
    median, slow = whole.get("wait_quantiles_ms") or (None, None)
    return {
        "drafts": whole.get("arrivals", 0),
        "picked_up": whole.get("picked_up", 0),
        "in_time_share": _in_time(whole),
        "wait_p50_ms": median,
        "wait_p90_ms": slow,
    }


def _in_time(counts: Record) -> float | None:
    decided = counts.get("in_time", 0) + counts.get("late", 0)
    return counts["in_time"] / decided if decided else None


def _covered(first: datetime | None, history: datetime, until: datetime, zone: str) -> Week:
    """What the store really covers of the history: from its first stage on."""
    return hours_covered(until if first is None else max(first, history), until, zone)


def _hours(found: list[Record], present: list[Record], covered: Week) -> list[Record]:
    """The 168 hours of the week, each with its means; None where the store covers too little of it."""
    arrivals = {(one["weekday"], one["hour"]): one for one in found}
    working = {(one["weekday"], one["hour"]): one["moderator_hours"] for one in present}
    hours = []
    for weekday in range(7):
        for hour in range(24):
            length = covered[weekday][hour]
            is_known = length >= LEAST_HOURS
            counts = arrivals.get((weekday, hour), {})
            hours.append(
                {
                    "hour": hour_name(weekday, hour),
                    "weeks": length,
                    "drafts_per_hour": counts.get("arrivals", 0) / length if is_known else None,
                    "in_time_share": _in_time(counts),
                    "present": working.get((weekday, hour), 0) / length if is_known and present else None,
                }
            )
    return hours


def _grid(hours: list[Record], name: str) -> list[list[float | None]]:
    return [[hours[weekday * 24 + hour][name] for hour in range(24)] for weekday in range(7)]
