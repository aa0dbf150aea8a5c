"""Owns the course of a window: what began, ended, failed and waited, piece by piece, for curves and sparklines."""

from datetime import timedelta

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.questions.document import Document, rows
from otel_metrics.analytics.questions.unknown import known
from otel_metrics.analytics.window import Window, aware
from otel_metrics.errors import QueryError
from otel_metrics.settings import Settings

_MOST_PIECES = 10_000


def course(engine: Asking, window: Window, settings: Settings, pieces: int) -> Document:
    """`begun`, `ended` (sessions), `failed` (stages) and `waiting` (drafts, at the end of each): lists of `pieces` numbers.

    Drafts waited as `queue` and the recorded stages `moderation_queue` say: where nobody records that stage, only those
    that wait now are known.
    """
    if isinstance(pieces, bool) or not isinstance(pieces, int) or not 1 <= pieces <= _MOST_PIECES:
        raise QueryError(f"pieces={pieces!r}", f"a number from 1 to {_MOST_PIECES}", "for example 48")
    now = rows(engine, "queue_waiting", now=window.until, timeout_h=settings.session_timeout_hours)
    found = rows(
        engine, "course", **window.parameters(), pieces=pieces, waiting=[one["waiting_since"] for one in now]
    )  # fmt: skip
    return {
        "since": aware(window.since), "until": aware(window.until),
        "piece_ms": (window.until - window.since) / pieces / timedelta(milliseconds=1),
        **{name: [known(engine, row)[name] for row in found] for name in ("begun", "ended", "failed", "waiting")},
    }  # fmt: skip
