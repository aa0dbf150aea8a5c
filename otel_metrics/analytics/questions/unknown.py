"""Owns what is left out of an answer where the engine does not know all that it rests on: a figure is right, or it is not there."""

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.document import Record

_OF_ROWS = {
    "running": ("waiting", "waiting_p50_ms", "waiting_max_ms", "waiting_now", "longest_queue", "longest_queue_at"),
    "logs": ("error_logs", "critical_logs"),
    "processes": ("restarts",),
}
"""Figures by the view that they can not do without. Who waits for a moderator is known by which reviews have begun."""


def known(engine: Asking, figures: Record) -> Record:
    """The figures, with None for those that the engine can not know."""
    unknown = {name for view in engine.lacks for name in _OF_ROWS.get(view, ())}
    return {name: None if name in unknown else value for name, value in figures.items()}


def said(engine: Asking) -> list[str]:
    """What is to be said of an answer about the system, in one sentence; nothing where all is known."""
    if not engine.lacks:
        return []
    return ["Waiting drafts, restarts, log lines, system metrics and lost records are told by the local store alone."]
