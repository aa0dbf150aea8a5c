"""Owns the questions about the system: memory, processor, queue length, restarts, errors and the state of this package itself."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.document import Document, Record, listed, row, rows
from otel_metrics.analytics.questions.saying import said_count, said_percent
from otel_metrics.analytics.questions.unknown import known, said
from otel_metrics.analytics.window import Window, aware
from otel_metrics.settings import Settings

LEAST_STAGES = 20
"""Below so many stages there is no percentage of failed ones."""
_HOUR = timedelta(hours=1)


def system(engine: Asking, window: Window, settings: Settings, *, metric: str | None = None) -> Document:
    """The machine, the queue, the processes, the errors, and whether this package kept every record.

    `metrics`, `metrics_by_hour`: numeric system metrics by `metric_type`, host (the tag `host`, or else the host of the
    process), unit (the tag `unit`) and the remaining tags (`labels`): `samples`, `latest`, `mean`, `max`, `min`.
    `metric` narrows both to one type. Hours are of `settings.timezone`.

    Waiting drafts: `moderation_queue` stages from their beginning to their end, those that run now, and drafts that wait
    now as `queue` counts them; a draft given up before a moderator took it left no stage and is not counted.
    `waiting_now`, `longest_queue` and when it was first so long, `queue_by_hour`: how many waited at each full hour.

    `processes`: by host and `service.name`. `restarts`: processes that began in the window after others of the same host
    and service of which none recorded anything from then on; several workers side by side are no restarts of each other. `uptime_ms`: from
    the start of the last process to the last that it recorded in the window; None where it recorded nothing.

    `failed_percent`: failed of all stages that ended in the window (None below `LEAST_STAGES`, `enough` false then).
    `error_logs`, `critical_logs`: lines of the structured logger; `errors` by what happened.

    Records, of all time: `emitted` = `stored` + `in_journal` + `dropped` + `missing`, as `doctor` counts them; dropped ones
    by reason.
    """
    shift_us = _shift_us(window.until, settings.timezone)
    values = rows(engine, "system_values", **window.parameters(), shift_us=shift_us, metric=metric)
    queue, by_hour = _queue(engine, window, settings, shift_us)
    processes = [_process(one) for one in rows(engine, "system_processes", **window.parameters())]
    errors = rows(engine, "system_errors", **window.parameters())
    records, dropped = _records(engine)
    figures: Record = known(
        engine,
        {
            **_failures(engine, window, errors),
            **queue,
            "restarts": sum(one["restarts"] for one in processes),
            **records,
        },
    )
    return {
        "sentences": said(engine) or _sentences(figures, dropped),
        **figures,
        "metrics": [_value(one) for one in values if one["hour"] is None],
        "processes": processes,
        "errors": [{**one, "last_at": aware(one["last_at"])} for one in errors],
        "dropped_records": dropped,
        "queue_by_hour": [] if "running" in engine.lacks else by_hour,
        "metrics_by_hour": [{"hour": aware(one["hour"]), **_value(one)} for one in values if one["hour"] is not None],
    }


def _shift_us(moment: datetime, zone: str) -> int:
    """By how much the zone's full hours lie beside those of UTC: half an hour in India."""
    offset = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    return (offset % _HOUR) // timedelta(microseconds=1)


def _value(found: Record) -> Record:
    figures = {name: found[name] for name in ("samples", "latest", "mean", "max", "min")}
    return {
        "metric": found["metric_type"], "host": found["host"], "labels": _labels(found["labels"]), "unit": found["unit"],
        **figures, "latest_at": aware(found["latest_at"]),
    }  # fmt: skip


def _labels(text: str) -> str:
    """Tags as people write them: state=used, cpu=0."""
    with suppress(ValueError, AttributeError):
        return ", ".join(f"{name}={value}" for name, value in json.loads(text).items())
    return text


def _queue(engine: Asking, window: Window, settings: Settings, shift_us: int) -> tuple[Record, list[Record]]:
    waiting = rows(engine, "queue_waiting", now=window.until, timeout_h=settings.session_timeout_hours)
    found = row(
        engine, "system_queue", **window.parameters(), shift_us=shift_us, waiting=[one["waiting_since"] for one in waiting]
    )  # fmt: skip
    changes: dict[datetime, int] = {
        one["moment"]: one["change"] for one in listed(found["changes"], "moment", "change")
    }
    by_hour, length = [], 0
    moment = min(changes, default=window.until)
    while moment <= window.until and changes:
        length += changes.get(moment, 0)
        by_hour.append({"at": aware(moment), "waiting": length})
        moment += _HOUR
    figures = {
        "waiting_now": sum(changes.values()),
        "longest_queue": found["most"],
        "longest_queue_at": aware(found["most_at"]) if found["most"] else None,
    }
    return figures, by_hour


def _process(found: Record) -> Record:
    seen, started = found["last_seen_at"], found["started_at"]
    return {
        "host": found["host"], "service": found["service"], "processes": found["processes"], "restarts": found["restarts"],
        "process_id": found["pid"], "started_at": aware(started), "last_seen_at": aware(seen),
        "uptime_ms": None if seen is None else max(0.0, (seen - started) / timedelta(milliseconds=1)),
    }  # fmt: skip


def _failures(engine: Asking, window: Window, errors: Sequence[Record]) -> Record:
    found = row(engine, "system_failures", **window.parameters())
    enough = found["stages"] >= LEAST_STAGES
    return {
        "stages": found["stages"],
        "failed": found["failed"],
        "failed_percent": 100 * found["failed"] / found["stages"] if enough else None,
        "enough": enough,
        **{
            f"{level}_logs": sum(one["count"] for one in errors if one["level"] == level)
            for level in ("error", "critical")
        },
    }


def _records(engine: Asking) -> tuple[Record, list[Record]]:
    account = engine.account()
    if account is None:
        return dict.fromkeys(("emitted", "stored", "in_journal", "dropped", "missing")), []
    dropped = [{"reason": reason, "count": count} for reason, count in sorted(account.dropped.items())]
    figures = {
        "emitted": account.emitted,
        "stored": account.stored,
        "in_journal": account.in_journal,
        "dropped": sum(account.dropped.values()),
        "missing": account.missing,
    }
    return figures, dropped


def _sentences(figures: Record, dropped: Sequence[Record]) -> list[str]:
    said = []
    if figures["failed_percent"]:
        said.append(f"{said_percent(figures['failed_percent'])} of the stages failed: see `stages` for which and why.")
    if figures["critical_logs"]:
        said.append(f"{said_count(figures['critical_logs'], 'critical log line')}: look at `errors` below.")
    if figures["restarts"]:
        said.append(
            f"{said_count(figures['restarts'], 'restart')}: if none was meant, look at what the process said last."
        )
    if figures["waiting_now"]:
        said.append(
            f"{said_count(figures['waiting_now'], 'draft')} waiting for a moderator now; the longest queue was {figures['longest_queue']:,}."
        )
    if figures["missing"]:
        said.append(
            f"{said_count(figures['missing'], 'record')} missing that nobody dropped: run `otel-metrics doctor`."
        )
    if dropped:
        reasons = ", ".join(f"{one['count']:,} {one['reason']}" for one in dropped)
        said.append(f"{said_count(figures['dropped'], 'record')} could not be kept ({reasons}).")
    return said or ["Nothing is wrong: no restart, no failed stage, and every record is kept."]
