"""Owns what rules measure over ended and running stages: slowness, success, silence, stages that do not end."""

from collections import defaultdict

from otel_metrics.analytics.alerting.duration import said
from otel_metrics.analytics.alerting.reading import Look, Reading, too_few
from otel_metrics.analytics.alerting.rules import NoData, SlowStage, StuckStage, SuccessRate, quantile_of
from otel_metrics.analytics.questions.document import Record
from otel_metrics.model.vocabulary import HUMAN_STAGES, ProcessingStage
from otel_metrics.store.health import is_dead

_ORDER = [str(stage) for stage in ProcessingStage]


def slow_stage(rule: SlowStage, look: Look) -> list[Reading]:
    """Each stage's mean duration or percentile in the window, in milliseconds, from microseconds; percentiles interpolate."""
    window = look.window(rule.window.seconds)
    quantile = quantile_of(rule.statistic)
    found = look.rows(
        "alert_stage_durations", **window.parameters(), stage=rule.stage,
        quantile=0.5 if quantile is None else quantile, order=_ORDER,
    )  # fmt: skip
    word = "on average" if quantile is None else f"at {rule.statistic}"
    readings = []
    for row in found:
        stage, count = row["stage"], row["count"]
        human = stage in HUMAN_STAGES and rule.people_threshold is not None
        limit = rule.people_threshold.ms if human and rule.people_threshold else rule.threshold.ms
        labels = {"stage": stage}
        if count < rule.least:
            readings.append(too_few(labels, limit, "ms", count, rule.least, "stages"))
            continue
        value = row["mean_ms"] if quantile is None else row["quantile_ms"]
        message = f"{stage} took {said(value)} {word} over {count:,} stages in the last {rule.window}; the limit is {said(limit)}."
        readings.append(
            Reading(labels, value, limit, "ms", count, enough=True, breached=value > limit, message=message)
        )
    return readings


def success_rate(rule: SuccessRate, look: Look) -> list[Reading]:
    """100 × succeeded ÷ ended stages of the window, in percent: over all of them, of one stage, or of each."""
    window = look.window(rule.window.seconds)
    found = look.rows("alert_success", **window.parameters(), stage=rule.stage, order=_ORDER)
    if rule.stage is None and not rule.by_stage:
        whole = {"count": sum(row["count"] for row in found), "succeeded": sum(row["succeeded"] for row in found)}
        return [_success(rule, {}, "All stages", whole)]
    return [_success(rule, {"stage": row["stage"]}, row["stage"], row) for row in found]


def _success(rule: SuccessRate, labels: dict[str, str], who: str, row: Record) -> Reading:
    count, succeeded = row["count"], row["succeeded"]
    if count < rule.least:
        return too_few(labels, rule.threshold, "percent", count, rule.least, "stages")
    value = 100 * succeeded / count
    message = f"{who}: {value:.1f}% of {count:,} succeeded in the last {rule.window}; the limit is {rule.threshold:g}%."
    figures = {"succeeded": succeeded, "failed": count - succeeded}
    return Reading(
        labels, value, rule.threshold, "percent", count, enough=True, breached=value < rule.threshold, message=message,
        figures=figures,
    )  # fmt: skip


def no_data(rule: NoData, look: Look) -> list[Reading]:
    """Milliseconds since a stage ended last. Before the first one ever there is no judgement."""
    labels = {} if rule.stage is None else {"stage": rule.stage}
    last = look.row("alert_last_stage", until=look.now, stage=rule.stage)["last_end"]
    if last is None:
        return [too_few(labels, rule.threshold.ms, "ms", 0, 1, "stages")]
    value = (look.now - last).total_seconds() * 1000
    who = "stage" if rule.stage is None else rule.stage
    message = f"No {who} has ended for {said(value)}; the limit is {rule.threshold}."
    return [
        Reading(
            labels, value, rule.threshold.ms, "ms", 1, enough=True, breached=value > rule.threshold.ms, message=message,
            figures={"last_end": last},
        )
    ]  # fmt: skip


def stuck_stage(rule: StuckStage, look: Look) -> list[Reading]:
    """Of each stage that runs now the longest time so far, in milliseconds; samples: those above the limit."""
    ages: dict[str, list[float]] = defaultdict(list)
    sessions: dict[str, str] = {}
    for row in look.rows("queue_running", now=look.now):  # the oldest first
        if rule.stage not in (None, row["stage"]):
            continue
        if not rule.interrupted and is_dead(row["process"], row["pid"], row["host"]):
            continue
        sessions.setdefault(row["stage"], row["session_id"])
        ages[row["stage"]].append(row["age_ms"])
    limit = rule.threshold.ms
    readings = []
    for stage, found in ages.items():
        value, over = max(found), sum(age > limit for age in found)
        message = (
            f"{stage} has been running for {said(value)} in session {sessions[stage]}; the limit is {rule.threshold}"
            f" ({over:,} of {len(found):,} running are above it)."
        )
        figures = {"session_id": sessions[stage], "above_limit": over}
        readings.append(
            Reading(
                {"stage": stage}, value, limit, "ms", len(found), enough=True, breached=value > limit, message=message,
                figures=figures,
            )
        )  # fmt: skip
    return readings
