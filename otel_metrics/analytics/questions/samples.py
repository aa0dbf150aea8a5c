"""Owns what questions about people share: the floor of samples, how far back drafts are looked for, shares in percent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from otel_metrics.analytics.statistics import CONFIDENCE, wilson
from otel_metrics.analytics.window import Window
from otel_metrics.errors import QueryError
from otel_metrics.settings import Settings

_MOST_HOURS = 24 * 366.0


def drafts_since(window: Window, settings: Settings) -> datetime:
    """From when on drafts and beginnings of sessions are looked for: the window's begin less the session timeout.

    A draft that waited over the window's begin belongs to what was decided in it; older sessions count as abandoned.
    """
    return window.since - timedelta(hours=min(settings.session_timeout_hours, _MOST_HOURS))


def checked_number(name: str, value: Any, low: float, high: float) -> float:
    """An option as a number above `low` and below `high`; `QueryError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
        raise QueryError(
            f"{name}={value!r}", f"a number above {low:g} and below {high:g}", f"leave {name} out for its default"
        )
    return float(value)


def checked_floor(least: Any) -> int:
    """The option `least` as a whole number from 1 on; `QueryError` for anything else."""
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise QueryError(f"least={least!r}", "a whole number from 1 on", "leave least out for its default")
    return least


def rate_of(successes: int, total: int, least: int) -> dict[str, float | bool | None]:
    """`rate_percent` with its 95 % Wilson bounds `low_percent` and `high_percent`, and `enough`; None below the floor."""
    bounds = wilson(successes, total, CONFIDENCE)
    if total < least or bounds is None:
        return {"rate_percent": None, "low_percent": None, "high_percent": None, "enough": False}
    return {
        "rate_percent": 100.0 * successes / total,
        "low_percent": 100.0 * bounds.low,
        "high_percent": 100.0 * bounds.high,
        "enough": True,
    }


def pair(quantiles: Sequence[float | None] | None) -> tuple[float | None, float | None]:
    """Two quantiles of a query; None twice where it had no values."""
    if quantiles is None:
        return None, None
    first, second = quantiles
    return first, second


def said(percent: float) -> str:
    """A percentage in a sentence."""
    return f"{percent:.1f} %"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 session, 2 sessions."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
