"""Owns what a rule measures against the same time of earlier weeks: median, MAD and the robust z-score."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from otel_metrics.analytics.alerting.duration import said
from otel_metrics.analytics.alerting.reading import FIRST_TIME, Look, Reading, number, too_few
from otel_metrics.analytics.alerting.rules import Deviation
from otel_metrics.analytics.window import Window

_MAD_TO_SIGMA = 0.6745
"""The MAD of a normal distribution over its standard deviation: its 0.75 quantile (Iglewicz & Hoaglin 1993)."""
_LEAST_SHARE_OF_MEDIAN = 0.1
"""Where earlier weeks had no scatter at all, a duration counts as having one of a tenth of the median."""


@dataclass(frozen=True, slots=True)
class _Sample:
    value: float
    samples: int


def robust_z(value: float, before: list[float], least_sigma: float) -> float:
    """0.6745 · (value - median) / MAD, the modified z-score of Iglewicz & Hoaglin (1993), "How to Detect and Handle Outliers".

    Where more than half of `before` are equal the MAD is 0 and says nothing: then `least_sigma`, the scatter that is to
    be expected anyway, stands in the place of MAD / 0.6745.
    """
    median = statistics.median(before)
    mad = statistics.median(abs(one - median) for one in before)
    sigma = mad / _MAD_TO_SIGMA or least_sigma
    return (value - median) / sigma if sigma else 0.0


def deviation(rule: Deviation, look: Look) -> list[Reading]:
    """The robust z-score of a figure of the window against the same window of the `weeks` before, by the clock on the wall.

    A week counts if there were stages before it, and, for a rate or a mean, from `least` samples on.
    """
    labels = {} if rule.stage is None else {"stage": rule.stage}
    measure = _MEASURES[rule.figure]
    this = look.window(rule.window.seconds)
    now = measure(rule, look, this)
    before = _before(rule, look, measure)
    if now is None:
        return [too_few(labels, rule.threshold, "z", 0, rule.least, "samples in the window")]
    if len(before) < rule.least_weeks:
        return [too_few(labels, rule.threshold, "z", len(before), rule.least_weeks, "earlier weeks")]
    values = [one.value for one in before]
    z = robust_z(now.value, values, _least_sigma(rule, statistics.median(values), now.samples))
    breached = {"above": z > rule.threshold, "below": z < -rule.threshold, "both": abs(z) > rule.threshold}
    median = statistics.median(values)
    figures = {
        "figure": rule.figure, "now": now.value, "median": median, "least": min(values), "most": max(values),
        "mad": statistics.median(abs(one - median) for one in values), "earlier": values,
    }  # fmt: skip
    return [
        Reading(
            labels, z, rule.threshold, "z", len(values), enough=True, breached=breached[rule.direction],
            message=_explained(rule, look, now.value, values, z), figures=figures,
        )
    ]  # fmt: skip


def _before(rule: Deviation, look: Look, measure: "_Measure") -> list[_Sample]:
    """The figure in the same window of each earlier week that counts, the last week first."""
    first = look.row("alert_first_stage", until=look.now)["first_end"]
    found = []
    for weeks in range(1, rule.weeks + 1):
        window = look.window(rule.window.seconds, weeks_before(look.now, weeks, look.settings.timezone))
        if first is None or first > window.since:
            break
        sample = measure(rule, look, window)
        if sample is not None:
            found.append(sample)
    return found


def weeks_before(moment: datetime, weeks: int, zone: str) -> datetime:
    """The same weekday and time of day so many weeks earlier in a zone; both times are UTC without a zone."""
    there = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    try:
        return (there - timedelta(weeks=weeks)).astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return FIRST_TIME


def _arrivals(_: Deviation, look: Look, window: Window) -> _Sample | None:
    count = look.row("alert_arrivals", **window.parameters())["arrivals"]
    return _Sample(count, count)


def _failure_rate(rule: Deviation, look: Look, window: Window) -> _Sample | None:
    row = look.row("alert_stages_together", **window.parameters(), stage=rule.stage)
    enough = row["stages"] >= rule.least
    return _Sample(100 * row["failed"] / row["stages"], row["stages"]) if enough else None


def _mean_duration(rule: Deviation, look: Look, window: Window) -> _Sample | None:
    row = look.row("alert_stages_together", **window.parameters(), stage=rule.stage)
    return _Sample(row["mean_ms"], row["stages"]) if row["stages"] >= rule.least else None


def _correction_rate(rule: Deviation, look: Look, window: Window) -> _Sample | None:
    row = look.row("correction_rate", **window.parameters())
    return _Sample(row["rate"], row["sessions"]) if row["sessions"] >= rule.least else None


_Measure = Callable[[Deviation, Look, Window], _Sample | None]
_MEASURES: dict[str, _Measure] = {
    "arrivals": _arrivals,
    "failure_rate": _failure_rate,
    "mean_duration": _mean_duration,
    "correction_rate": _correction_rate,
}


def _least_sigma(rule: Deviation, median: float, samples: int) -> float:
    """The scatter that chance alone makes: of a count √count (Poisson), of a rate √(p(1-p)/n) with one success and one failure added."""
    if rule.figure == "arrivals":
        return math.sqrt(max(median, 1.0))
    if rule.figure == "mean_duration":
        return max(1.0, _LEAST_SHARE_OF_MEDIAN * median)
    share = (median / 100 * samples + 1) / (samples + 2)
    return 100 * math.sqrt(share * (1 - share) / samples)


def _explained(rule: Deviation, look: Look, now: float, values: list[float], z: float) -> str:
    """Such as: 41 sessions in the hour to Tue 15:00; Tuesdays 14:00–15:00 had 12 to 18 in the last 6 weeks."""
    zone = ZoneInfo(look.settings.timezone)
    until = look.now.replace(tzinfo=UTC).astimezone(zone)
    since = (look.now.replace(tzinfo=UTC) - timedelta(seconds=rule.window.seconds)).astimezone(zone)
    form = "%H:%M" if since.date() == until.date() or until - since <= timedelta(days=1) else "%a %H:%M"
    who = "" if rule.stage is None else f" of {rule.stage}"
    low, high = _shown(rule, min(values)), _shown(rule, max(values))
    had = f"always {low}" if low == high else f"{low} to {high}"
    return (
        f"{_shown(rule, now)} {_WORDS[rule.figure]}{who} in the last {rule.window}; "
        f"{since:%A}s {since:{form}}–{until:{form}} had {had} in {len(values)} of the last {rule.weeks} weeks "
        f"(z-score {z:.1f}, the limit is {number(rule.threshold)})."
    )


_WORDS = {
    "arrivals": "sessions began", "failure_rate": "of stages failed", "mean_duration": "mean duration",
    "correction_rate": "of sessions were corrected",
}  # fmt: skip


def _shown(rule: Deviation, value: float) -> str:
    if rule.figure == "arrivals":
        return f"{value:,.0f}"
    return said(value) if rule.figure == "mean_duration" else f"{value:.1f}%"
