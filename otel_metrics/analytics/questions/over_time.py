"""Owns the question how a window went: sessions and their end-to-end times step by step."""

from datetime import timedelta

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.document import Document, rows
from otel_metrics.analytics.window import Window, aware

_STEPS_S = (60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800)
_MOST_STEPS = 36


def over_time(engine: Asking, window: Window) -> Document:
    """`step_s`: the length of a step in seconds. `steps`: `step_at` (its beginning), `sessions`, `p50_ms`, `p95_ms`, oldest first.

    A session belongs to the step in which its last stage ended. From the first step with sessions on every step is there.
    """
    length_s = (window.until - window.since).total_seconds()
    step_s = next((one for one in _STEPS_S if length_s / one <= _MOST_STEPS), _STEPS_S[-1])
    found = {row["step_at"]: row for row in rows(engine, "over_time", **window.parameters(), step_s=step_s)}
    steps: list[Document] = []
    moment = min(found, default=window.until + timedelta(seconds=1))
    while moment <= window.until:
        row = found.get(moment, {"sessions": 0, "p50_ms": None, "p95_ms": None})
        steps.append({**row, "step_at": aware(moment)})
        moment += timedelta(seconds=step_s)
    return {"step_s": step_s, "steps": steps}
