"""Owns the questions about users: sessions, peak hours, repeat contacts and response times as users feel them."""

from collections.abc import Sequence
from datetime import timedelta

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.coverage import covered_hours
from otel_metrics.analytics.questions.document import Document, Record, listed, row, rows
from otel_metrics.analytics.questions.saying import said_count, said_ms, said_percent
from otel_metrics.analytics.window import Window, aware
from otel_metrics.errors import QueryError
from otel_metrics.settings import Settings

LEAST_SESSIONS = 10
"""Below so many sessions percentiles, shares and peaks are None."""
LIMITS_MS = (60_000.0, 3_600_000.0 / 6, 3_600_000.0)
"""A minute, ten minutes, an hour: within which share of the users gets an answer."""
_LONGEST_WITHIN_H = 24 * 365.0
_GROUPS = ((1, 1), (2, 2), (3, 5), (6, 10), (11, None))
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def users(engine: Asking, window: Window, settings: Settings, *, within_hours: float = 24.0) -> Document:
    """Who asks, when, how often again, how much, and how long the answer takes. A session belongs to the window if it began in it.

    `sessions`, `users` (known ones: user 0 is nobody known, `sessions_without_user`), `sessions_per_user_mean`, `_p50`,
    `_p95`, `_most`; `sessions_per_user`: users by their number of sessions; `top_users`: the ten with most.

    `by_hour_of_day`, `by_weekday`: `sessions` in `settings.timezone`, and `sessions_per_hour`, which is over the hours of
    that kind in the window from its first session on, so that a weekday that it has twice is no peak for that (None
    below half an hour, or half a day of a weekday). `peak_weekday` needs all seven.

    Repeats: a session of a known user that began at most `within_hours` after another of the same user; `repeat_share`
    is of the sessions of known users. First contact resolution: of first contacts (no repeats) whose `within_hours`
    ended in the window, the share that got an answer and was followed by no other session in these hours
    (`resolved_at_first_contact_share`). The rest is `came_again` or `not_answered`.

    `lengths`: one question (the first `input_length`) and one answer (the last `output_length`) of each session, as the
    bot gives them, usually in characters.

    Response: from the beginning of the first `query_received`, else of the session, to the end of the first successful
    `user_delivery`. `response_*_ms` are over answered sessions. `answered_within`: of the sessions begun at least so long
    ago, the share that had its answer in that time, those without any answer included. `without_answer`: sessions by
    outcome, `open` where an answer may still come; `never_answered` leaves those out.

    Below `LEAST_SESSIONS` percentiles and shares are None and `enough` is false.
    """
    if not 0 < within_hours <= _LONGEST_WITHIN_H:
        raise QueryError(f"within_hours={within_hours!r}", "a number above 0, at most 8760", "for example 24")
    people = _people(row(engine, "users_sessions", **window.parameters()))
    peaks = _peaks(
        rows(engine, "users_hours", **window.parameters(), zone=settings.timezone), window, settings.timezone
    )
    again = _again(engine, window, within_hours)
    answers = _responses(engine, window, settings.session_timeout_hours)
    figures = {**people[0], **peaks[0], **again, **answers[0]}
    return {
        "sentences": _sentences(figures, window),
        **figures,
        "sessions_per_user": people[1],
        "top_users": people[2],
        **peaks[1],
        **answers[1],
        "lengths": [_length(one) for one in rows(engine, "users_lengths", **window.parameters())],
    }


def _people(found: Record) -> tuple[Record, list[Record], list[Record]]:
    spread: list[Record] = listed(found["spread"], "times", "users")
    groups = []
    for least, most in _GROUPS if spread else ():
        inside = [one for one in spread if one["times"] >= least and (most is None or one["times"] <= most)]
        groups.append(
            {
                "sessions": f"{least}+" if most is None else f"{least}" if most == least else f"{least} to {most}",
                "users": sum(one["users"] for one in inside),
                "of_users_share": sum(one["users"] for one in inside) / found["users"],
                "of_sessions_share": sum(one["times"] * one["users"] for one in inside) / (found["sessions"] - found["unknown"]),
            }
        )  # fmt: skip
    p50, p95 = found["quantiles"] or (None, None)
    enough = found["users"] >= LEAST_SESSIONS
    figures = {
        "sessions": found["sessions"],
        "sessions_without_user": found["unknown"],
        "users": found["users"],
        "sessions_per_user_mean": found["mean"],
        "sessions_per_user_p50": p50 if enough else None,
        "sessions_per_user_p95": p95 if enough else None,
        "sessions_per_user_most": found["most"],
        "enough": found["sessions"] >= LEAST_SESSIONS,
    }
    top = [
        {
            "user_id": one["user_id"],
            "sessions": one["sessions"],
            "of_sessions_share": one["sessions"] / found["sessions"],
        }
        for one in listed(found["top"], "-sessions", "user_id")
    ]
    return figures, groups, top


def _peaks(found: Sequence[Record], window: Window, zone: str) -> tuple[Record, Record]:
    """Sessions by hour of day and by weekday, and the busiest of each."""
    first = min((one["first"] for one in found), default=None)
    hours, weekdays = covered_hours(first or window.until, window.until, zone)
    by_hour = [
        _rate(
            {"hour": f"{hour:02d}:00"}, sum(one["sessions"] for one in found if one["hour"] == hour), hours[hour], 0.5
        )
        for hour in (range(24) if found else ())
    ]
    by_weekday = [
        _rate({"weekday": name}, sum(one["sessions"] for one in found if one["weekday"] == day), weekdays[day - 1], 12)
        for day, name in (enumerate(_WEEKDAYS, 1) if found else ())
    ]
    enough = sum(one["sessions"] for one in found) >= LEAST_SESSIONS
    figures = {
        "peak_hour": _busiest(by_hour, "hour") if enough else None,
        "peak_weekday": _busiest(by_weekday, "weekday") if enough and min(weekdays) >= 12 else None,
    }
    return figures, {"by_hour_of_day": by_hour, "by_weekday": by_weekday}


def _rate(place: Record, sessions: int, covered_h: float, least_h: float) -> Record:
    """`sessions_per_hour` is None where the window has less than `least_h` of that kind: one session is no peak."""
    return {**place, "sessions": sessions, "sessions_per_hour": sessions / covered_h if covered_h >= least_h else None}


def _busiest(places: Sequence[Record], name: str) -> str | None:
    busiest = max(places, key=lambda one: one["sessions_per_hour"] or 0.0)
    return str(busiest[name]) if busiest["sessions_per_hour"] else None


def _again(engine: Asking, window: Window, within_hours: float) -> Record:
    before_since = window.since - timedelta(
        hours=min(2 * within_hours, (window.since - window.since.min).total_seconds() / 3600)
    )
    found = row(engine, "users_repeats", **window.parameters(), within_h=within_hours, before_since=before_since)
    return {
        "within_hours": within_hours,
        "repeats": found["repeats"],
        "users_who_came_again": found["users_again"],
        "repeat_share": _share(found["repeats"], found["sessions"]),
        "first_contacts": found["first_contacts"],
        "came_again": found["came_again"],
        "not_answered": found["not_answered"],
        "resolved_at_first_contact_share": _share(found["resolved"], found["first_contacts"]),
    }


def _responses(engine: Asking, window: Window, timeout_h: float) -> tuple[Record, Record]:
    found = row(engine, "users_responses", **window.parameters(), timeout_h=timeout_h, limits_ms=list(LIMITS_MS))
    unanswered: list[Record] = listed(found["unanswered"], "-sessions", "outcome", "oldest")
    within = {one["limit_ms"]: one for one in listed(found["within"], "limit_ms", "sessions", "answered")}
    enough = found["answered"] >= LEAST_SESSIONS
    p50_ms, p90_ms, p95_ms = found["quantiles_ms"] if enough else (None, None, None)
    waiting = sum(one["sessions"] for one in unanswered if one["outcome"] == "open")
    never = sum(one["sessions"] for one in unanswered) - waiting
    figures = {
        "answered": found["answered"],
        "never_answered": never,
        "never_answered_of_all_share": _share(never, found["answered"] + never),
        "still_open": waiting,
        "response_mean_ms": found["mean_ms"],
        "response_p50_ms": p50_ms,
        "response_p90_ms": p90_ms,
        "response_p95_ms": p95_ms,
    }
    lists = {
        "answered_within": [
            _within(limit, **{name: within.get(limit, {}).get(name, 0) for name in ("sessions", "answered")})
            for limit in LIMITS_MS
        ],
        "without_answer": [
            {"outcome": one["outcome"], "sessions": one["sessions"], "oldest": aware(one["oldest"])}
            for one in unanswered
        ],
    }
    return figures, lists


def _within(limit_ms: float, *, sessions: int, answered: int) -> Record:
    return {
        "within_ms": limit_ms, "sessions": sessions, "answered": answered,
        "in_time_share": _share(answered, sessions), "enough": sessions >= LEAST_SESSIONS,
    }  # fmt: skip


def _length(found: Record) -> Record:
    p50, p90, p95 = found["quantiles"]
    enough = found["count"] >= LEAST_SESSIONS
    return {
        "of": found["what"], "count": found["count"], "mean": found["mean"], "p50": p50 if enough else None,
        "p90": p90 if enough else None, "p95": p95 if enough else None, "longest": found["longest"], "enough": enough,
    }  # fmt: skip


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole >= LEAST_SESSIONS else None


def _sentences(figures: Record, window: Window) -> list[str]:
    if not figures["sessions"]:
        return ["No session has begun in this time."]
    said = [f"{said_count(figures['sessions'], 'session')} of {said_count(figures['users'], 'user')}."]
    if figures["response_p50_ms"] is not None:
        half, most = said_ms(figures["response_p50_ms"]), said_ms(figures["response_p95_ms"])
        said.append(f"Half of those who get an answer have it in {half}; 1 in 20 waits longer than {most}.")
    if figures["never_answered"]:
        said.append(
            f"{said_count(figures['never_answered'], 'session')} ended without an answer: see the table Without answer."
        )
    if figures["peak_hour"] is not None:
        weekday = f", and on {figures['peak_weekday']}s" if figures["peak_weekday"] else ""
        said.append(f"Most sessions begin in the hour from {figures['peak_hour']} on{weekday}.")
    if figures["repeat_share"]:
        part, hours = said_percent(100 * figures["repeat_share"]), f"{figures['within_hours']:g} h"
        said.append(
            f"{part} of the sessions are of somebody who had asked within {hours} before: their answer may not have helped."
        )
    if (window.until - window.since).total_seconds() <= figures["within_hours"] * 3600:
        said.append(
            f"First contacts are counted after {figures['within_hours']:g} h: a window of them needs more hours than {figures['within_hours']:g}."
        )
    if not figures["enough"]:
        said.append(f"Percentiles and shares are shown from {LEAST_SESSIONS} sessions on.")
    return said
