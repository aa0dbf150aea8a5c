"""Owns saying things in plain words: what an alert means, how a session stands."""

from datetime import datetime
from typing import Any

from otel_metrics.delivery.cli.numbers import count, duration, percent

OUTCOME_SIGNS = {
    "delivered": ("✓", "good"),
    "rejected": ("✗", "warn"),
    "failed": ("✗", "bad"),
    "abandoned": ("–", "quiet"),
}


def alert_sentence(alert: dict[str, Any]) -> str:
    """An alert as a sentence with the figure, the limit and what it rests on; one that is silenced says why."""
    quiet = f" (silenced: {alert.get('silence_reason')})" if alert.get("silenced") else ""
    return f"{_sentence(alert)}{quiet}"


def _sentence(alert: dict[str, Any]) -> str:
    """Of a type unknown here it is the alert's own message, behind the name of its rule."""
    try:
        if alert["type"] == "slow_processing":
            return (
                f"{alert['stage']} is slow: {duration(alert['avg_duration_ms'])} on average over "
                f"{count(alert['count'])} stages, the limit is {duration(alert['threshold_ms'])}."
            )
        if alert["type"] == "high_correction_rate":
            return (
                f"Moderators correct a lot: {percent(alert['correction_rate'])} of {count(alert['sessions'])} sessions "
                f"needed a correction, the limit is {percent(alert['threshold'])}."
            )
    except (KeyError, TypeError):  # an alert of another version may lack a figure
        pass
    message = str(alert.get("message", alert.get("type", "")))
    return f"{alert['rule']}: {message}" if alert.get("rule") not in (None, alert.get("type")) else message


def severity_style(alert: dict[str, Any]) -> str:
    """How loud an alert is."""
    if alert.get("silenced") or alert.get("severity") == "info":
        return "quiet"
    return "bad" if alert.get("severity") in {"critical", "error"} else "warn"


def state_of(session: dict[str, Any], *, is_waiting: bool = False) -> tuple[str, str, str]:
    """How a session stands: a sign, a word or the stage that it is at, and a style."""
    outcome = session["outcome"]
    if outcome is None and is_waiting:
        return "→", "waiting", "wait"
    if outcome is None:
        return "→", str(session["current_stage"] or "just begun"), "work"
    sign, style = OUTCOME_SIGNS.get(outcome, ("·", ""))
    return sign, outcome, style


def took_ms(session: dict[str, Any], now: datetime) -> float | None:
    """How long a session took; of an open one how long it has been going on."""
    if session["outcome"] is not None:
        took: float | None = session["duration_ms"]
        return took
    started: datetime = session["started_at"]
    return max(0.0, (now - started).total_seconds() * 1000)
