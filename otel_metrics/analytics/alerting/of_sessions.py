"""Owns what rules measure over sessions: the correction rate, and the drafts that wait for a moderator."""

from otel_metrics.analytics.alerting.duration import said
from otel_metrics.analytics.alerting.reading import Look, Reading, number, too_few
from otel_metrics.analytics.alerting.rules import CorrectionRate, QueueAge, QueueLength
from otel_metrics.analytics.questions.document import Record


def correction_rate(rule: CorrectionRate, look: Look) -> list[Reading]:
    """100 × sessions with a correction that is no rejection ÷ sessions with a stage or correction in the window, in percent.

    With `intent`, `model` or `prompt` of the sessions that have it: by their own row (not the model), or by one of
    their stages or corrections in the window.
    """
    window = look.window(rule.window.seconds)
    chosen = {"intent": rule.intent, "model": rule.model, "prompt": rule.prompt}
    labels = {name: value for name, value in chosen.items() if value is not None}
    query, parameters = ("alert_corrections", chosen) if labels else ("correction_rate", {})
    row = look.row(query, **window.parameters(), **parameters)
    sessions, corrected = row["sessions"], row["corrected"]
    if sessions < rule.least:
        return [too_few(labels, rule.threshold, "percent", sessions, rule.least, "sessions")]
    value = 100 * corrected / sessions
    of = "".join(f" of {name} {one}" for name, one in labels.items())
    message = f"{value:.1f}% of {sessions:,} sessions{of} needed a correction in the last {rule.window}; the limit is {rule.threshold:g}%."
    return [
        Reading(
            labels, value, rule.threshold, "percent", sessions, enough=True, breached=value > rule.threshold,
            message=message, figures={"sessions": sessions, "corrected_sessions": corrected},
        )
    ]  # fmt: skip


def queue_length(rule: QueueLength, look: Look) -> list[Reading]:
    """How many drafts wait for a moderator now."""
    waiting = _queue(look)["waiting"]
    plural = "s wait" if waiting != 1 else " waits"
    message = f"{waiting:,} draft{plural} for a moderator; the limit is {number(rule.threshold)}."
    return [
        Reading(
            {}, waiting, rule.threshold, "count", waiting, enough=True, breached=waiting > rule.threshold, message=message
        )
    ]  # fmt: skip


def queue_age(rule: QueueAge, look: Look) -> list[Reading]:
    """For how many milliseconds the draft has waited that waits longest; 0 where none waits."""
    row = _queue(look)
    oldest = row["oldest_since"]
    value = 0.0 if oldest is None else (look.now - oldest).total_seconds() * 1000
    found = f"A draft has waited for {said(value)}" if oldest else "No draft waits"
    figures: Record = {"waiting": row["waiting"], "oldest_since": oldest}
    return [
        Reading(
            {}, value, rule.threshold.ms, "ms", row["waiting"], enough=True, breached=value > rule.threshold.ms,
            message=f"{found}; the limit is {rule.threshold}.", figures=figures,
        )
    ]  # fmt: skip


def _queue(look: Look) -> Record:
    return look.row("alert_queue", now=look.now, timeout_h=look.settings.session_timeout_hours)
