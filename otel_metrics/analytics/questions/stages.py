"""Owns the questions about time in stages: where the time of a session goes: stages, waiting against working, the bottleneck."""

from datetime import timedelta
from typing import Any

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.document import Document, Record, listed, row, rows
from otel_metrics.analytics.questions.saying import said_count, said_ms, said_percent
from otel_metrics.analytics.window import Window, aware
from otel_metrics.errors import QueryError
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.settings import Settings

LEAST_STAGES = 20
"""Below so many stages p95 and p99 are None: the slowest of 20 is the first that can stand for 1 in 20."""
LEAST_SESSIONS = 10
"""Below so many sessions no bottleneck is named."""
BETWEEN = "between stages"
"""The name of the time in which no stage of a session ran."""
_WAITING = str(ProcessingStage.MODERATION_QUEUE)
_ADVICE = {
    _WAITING: "Drafts wait for people: see `capacity` for how many moderators it takes.",
    str(ProcessingStage.ADMIN_REVIEW): "People take long to decide: see `moderators` and `safe_to_send`.",
    str(ProcessingStage.AI_PROCESSING): "The model takes long: try a faster one or a shorter prompt.",
    BETWEEN: "Nothing is recorded there: time what happens between the stages to see it.",
}


def stages(
    engine: Asking, window: Window, settings: Settings, *, stage: str | None = None, improvement_percent: float = 20.0
) -> Document:
    """Stages of the window, in all, by hour and by day, and where the time of its sessions goes.

    A stage belongs to the window if it ended in it. `by_stage`, `by_hour`, `by_day`: `count`, `failed` (not
    successful), `success_percent`, `mean_ms`, `p50_ms`, `p95_ms`, `p99_ms` (interpolated; p95 and p99 None and `enough`
    false below `LEAST_STAGES`). Hours and days are of `settings.timezone`; `hour` is its beginning. `errors`: failed
    stages by `error_type`, 'unknown' where none was recorded; `failed_share` is of the runs of that stage. `stage`
    narrows these lists to one stage; where it has no row, the first sentence says so and which stages there are.

    Shares are of the sum of end-to-end times over sessions with a stage in the window; end-to-end is last end - first
    start over all their stages, as far as they ended at most `settings.session_timeout_hours` before the window. Each
    moment counts once: where stages overlap or are nested, for the one that began last (of those the one that ends
    first); where none ran, for `between stages`. `moderation_queue` is waiting, every other stage working. So
    `waiting_share` + `working_share` + `between_share` = 1. `end_to_end` has the share of each stage, and in
    `mean_per_session_ms` its part of `end_to_end_mean_ms`, over all sessions.

    `bottleneck` has the greatest share; None below `LEAST_SESSIONS` sessions. `saved_per_session_ms` and
    `saved_of_end_to_end_percent`: what a session's mean end-to-end time would lose if that part took `improvement_percent` less and nothing else changed
    (Amdahl's law, 1967).
    """
    if not 0 < improvement_percent <= 100:
        raise QueryError(
            f"improvement_percent={improvement_percent!r}", "a number above 0, at most 100", "for example 20"
        )
    order = [str(one) for one in ProcessingStage]
    times = rows(engine, "stages_times", **window.parameters(), zone=settings.timezone, stage=stage, order=order)
    reach = window.since - timedelta(hours=min(settings.session_timeout_hours, _hours_since_year_one(window)))
    ends = row(engine, "stages_shares", **window.parameters(), reach=reach)
    in_all = [one for one in times if one["hour"] is None and one["day"] is None]
    figures = _end_to_end(ends, improvement_percent)
    counts = {one["stage"]: one["count"] for one in in_all}
    return {
        "sentences": [*_absent(stage, in_all, ends, order), *_sentences(figures, in_all)],
        **figures,
        "by_stage": [{"stage": one["stage"], **_times(one)} for one in in_all],
        "end_to_end": _parts(ends, order),
        "errors": [
            {
                "stage": one["stage"], "error_type": one["error_type"], "count": one["count"],
                "failed_share": one["count"] / counts[one["stage"]], "last_at": aware(one["last_at"]),
            }
            for one in rows(engine, "stages_errors", **window.parameters(), stage=stage)
        ],
        "by_hour": [
            {"hour": aware(one["hour"]), "stage": one["stage"], **_times(one)} for one in times if one["hour"] is not None
        ],
        "by_day": [{"day": one["day"], "stage": one["stage"], **_times(one)} for one in times if one["day"] is not None],
    }  # fmt: skip


def _hours_since_year_one(window: Window) -> float:
    return (window.since - window.since.min).total_seconds() / 3600


def _times(found: Record) -> Record:
    p50_ms, p95_ms, p99_ms = found["quantiles_ms"]
    enough = found["count"] >= LEAST_STAGES
    return {
        "count": found["count"], "failed": found["failed"],
        "success_percent": 100 * (found["count"] - found["failed"]) / found["count"],
        "mean_ms": found["mean_ms"], "p50_ms": p50_ms, "p95_ms": p95_ms if enough else None,
        "p99_ms": p99_ms if enough else None, "enough": enough,
    }  # fmt: skip


def _parts(ends: Record, order: list[str]) -> list[Record]:
    """What each stage, and the time between them, has of the end-to-end time; in the order of a session."""
    parts: dict[str, float] = {one["stage"]: one["ms"] for one in listed(ends["owned"], "-ms", "stage")}
    if not parts:
        return []
    total_ms = ends["total_ms"]
    named = sorted(parts, key=lambda name: (order.index(name) if name in order else len(order), name))
    parts[BETWEEN] = max(0.0, total_ms - sum(parts.values()))
    return [
        {
            "stage": name,
            "kind": "waiting" if name == _WAITING else "between" if name == BETWEEN else "working",
            "mean_per_session_ms": parts[name] / ends["sessions"],
            "time_share": parts[name] / total_ms if total_ms else None,
        }
        for name in (*named, BETWEEN)
    ]


def _end_to_end(ends: Record, improvement_percent: float) -> Record:
    """The figures of whole sessions: how long, which share of it waits, and the bottleneck."""
    total_ms, sessions = ends["total_ms"] or 0.0, ends["sessions"]
    parts: dict[str, float] = {one["stage"]: one["ms"] for one in listed(ends["owned"], "-ms", "stage")}
    between_ms = max(0.0, total_ms - sum(parts.values()))
    waiting_ms = parts.get(_WAITING, 0.0)
    p50_ms, p95_ms = ends["quantiles_ms"] or (None, None)
    enough = sessions >= LEAST_SESSIONS and total_ms > 0
    every = {**parts, BETWEEN: between_ms}
    bottleneck = max(every, key=lambda name: every[name]) if enough else None
    share = every[bottleneck] / total_ms if bottleneck else None
    return {
        "sessions": sessions,
        "end_to_end_mean_ms": ends["mean_ms"],
        "end_to_end_p50_ms": p50_ms,
        "end_to_end_p95_ms": p95_ms if sessions >= LEAST_STAGES else None,
        "waiting_share": waiting_ms / total_ms if total_ms else None,
        "working_share": (total_ms - waiting_ms - between_ms) / total_ms if total_ms else None,
        "between_share": between_ms / total_ms if total_ms else None,
        "bottleneck": bottleneck,
        "time_at_bottleneck_share": share,
        "improvement_percent": improvement_percent,
        "saved_per_session_ms": None if share is None else share * improvement_percent / 100 * ends["mean_ms"],
        "saved_of_end_to_end_percent": None if share is None else share * improvement_percent,
        "enough": enough,
    }


def _absent(stage: str | None, in_all: list[Record], ends: Record, order: list[str]) -> list[str]:
    """What there is to say where a stage was asked for that the window does not have."""
    present = {one["stage"] for one in listed(ends["owned"], "-ms", "stage")}
    if stage is None or in_all or not present:
        return []
    named = sorted(present, key=lambda name: (order.index(name) if name in order else len(order), name))
    return [f"No stage {stage!r} has ended in this time; there are {', '.join(named)}."]


def _sentences(figures: Record, in_all: list[Record]) -> list[str]:
    if not figures["sessions"]:
        return ["No stage has ended in this time."]
    name = figures["bottleneck"]
    if name is None:
        return [
            f"{said_count(figures['sessions'], 'session')} in this time: from {LEAST_SESSIONS} on a bottleneck can be named."
        ]
    part = said_percent(100 * figures["time_at_bottleneck_share"])
    less, saved = said_percent(figures["improvement_percent"]), said_ms(figures["saved_per_session_ms"])
    of_all = said_percent(figures["saved_of_end_to_end_percent"])
    what = f"the time {name}" if name == BETWEEN else name
    said = [
        f"Most time goes to {what}: {part} of the {said_ms(figures['end_to_end_mean_ms'])} that a session takes on average.",
        f"If {what} took {less} less, a session would take {saved} less ({of_all}).",
    ]
    said.append(_ADVICE.get(name, f"Look at what {name} does: its slowest sessions stand in `sessions`."))
    worst: Any = max(in_all, key=lambda one: (one["failed"] / one["count"], one["stage"]), default=None)
    if worst and worst["failed"]:
        failed = said_percent(100 * worst["failed"] / worst["count"])
        said.append(f"{worst['stage']} fails most often: {worst['failed']:,} of {worst['count']:,} ({failed}).")
    return said
