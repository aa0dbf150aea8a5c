"""Owns whether the correction rate fell: after a new prompt version or model, and over the days of a window."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import Any

from otel_metrics.analytics.questions.document import Record
from otel_metrics.analytics.questions.samples import counted, rate_of, said
from otel_metrics.analytics.statistics import newcombe, trend
from otel_metrics.analytics.window import aware

NOT_ENOUGH = "not enough to tell"
BEGINNING_DRAFTS = 20
"""What comes with the first drafts that are looked at may have been in use before them."""
LEAST_DAYS = 3
"""Days with sessions below which nothing is said about a trend."""
SURE_Z = 1.959964
"""Standard errors from which on a trend is called one: two-sided 95 %."""
_IN_WORDS = {"prompt_version": "prompt version", "model": "model"}


def changes(
    first_use: Sequence[Record], counts: dict[tuple[str, str], tuple[int, int]], since: datetime, least: int
) -> list[Record]:
    """A row for each model or prompt version that came into use within the window, after another one of its kind.

    `counts` gives (corrected sessions, sessions) by (dimension, name). `before` is the one that came into use last before
    it; the rates are those of the sessions drafted with each. The difference is after - before in percentage points with
    its 95 % interval by Newcombe's hybrid score method (1998); `verdict` is "fell" or "rose" where the interval is wholly
    below or above 0, else "not enough to tell". Below `least` sessions on either side figures are None.
    Of which nobody knows when they came, since they were there from the beginning, stand in the order of their names and
    are compared `side_by_side`, where both have `least` sessions.
    """
    found = []
    for dimension in ("prompt_version", "model"):
        for before, after in pairwise(in_order_of_use(first_use, dimension)):
            one = counts.get((dimension, before["name"]), (0, 0))
            two = counts.get((dimension, after["name"]), (0, 0))
            came = not after["from_beginning"] and after["began_at"] > since
            if came or min(one[1], two[1]) >= least:
                found.append({
                    "after": after["name"], "before": before["name"], "changed": dimension, "side_by_side": not came,
                    "began_at": aware(after["began_at"]) if came else None, **_compared(one, two, least),
                })  # fmt: skip
    return found


def in_order_of_use(first_use: Sequence[Record], dimension: str) -> list[Record]:
    """The rows of the query `first_use` for models or prompt versions, the one that came last at the end."""
    return sorted((row for row in first_use if row["dimension"] == dimension), key=_order)


def _order(row: Record) -> tuple[bool, list[datetime], list[tuple[int, str]]]:
    """By first use; those that were there from the beginning by name, with numbers in them as numbers (v9, v10)."""
    name = [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", row["name"])]
    return not row["from_beginning"], [] if row["from_beginning"] else [row["began_at"]], name


def _compared(one: tuple[int, int], two: tuple[int, int], least: int) -> Record:
    before, after = rate_of(*one, least), rate_of(*two, least)
    difference = newcombe(one, two) if before["enough"] and after["enough"] else None
    verdict = NOT_ENOUGH
    if difference is not None and difference.high < 0:
        verdict = "fell"
    elif difference is not None and difference.low > 0:
        verdict = "rose"
    return {
        "sessions_before": one[1],
        "rate_before_percent": before["rate_percent"],
        "sessions_after": two[1],
        "rate_after_percent": after["rate_percent"],
        "verdict": verdict,
        "difference_percent": None if difference is None else 100 * difference.difference,
        "difference_low_percent": None if difference is None else 100 * difference.low,
        "difference_high_percent": None if difference is None else 100 * difference.high,
        "low_before_percent": before["low_percent"],
        "high_before_percent": before["high_percent"],
        "low_after_percent": after["low_percent"],
        "high_after_percent": after["high_percent"],
        "enough": difference is not None,
    }


def changes_in_words(found: Sequence[Record]) -> Iterator[str]:
    """A sentence for each change."""
    for row in found:
        what = f"{_IN_WORDS[row['changed']]} {row['after']} (after {row['before']})"
        if not row["enough"]:
            yield (
                f"Too few sessions to judge {what}: {row['sessions_before']:,} before and {row['sessions_after']:,} with it; "
                "look further back with --hours."
            )
            continue
        bounds = f"95 % sure: {row['difference_low_percent']:+.1f} to {row['difference_high_percent']:+.1f} points"
        if row["side_by_side"]:
            yield _side_by_side(row, bounds)
            continue
        rates = f"from {said(row['rate_before_percent'])} to {said(row['rate_after_percent'])}"
        if row["verdict"] == "fell":
            yield f"With {what} the correction rate fell {rates} ({bounds}): keep it."
        elif row["verdict"] == "rose":
            yield f"With {what} the correction rate rose {rates} ({bounds}): look at what changed, or go back."
        else:
            yield f"With {what} the correction rate went {rates}, which chance alone can do ({bounds}): wait for more."


def _side_by_side(row: Record, bounds: str) -> str:
    kind = _IN_WORDS[row["changed"]]
    rates = {row[side]: said(row[f"rate_{side}_percent"]) for side in ("before", "after")}
    if row["verdict"] == NOT_ENOUGH:
        both = " and ".join(f"{rate} with {name}" for name, rate in rates.items())
        return f"Of the {kind}s, side by side, none is clearly better: {both} were corrected ({bounds})."
    better, worse = (row["after"], row["before"]) if row["verdict"] == "fell" else (row["before"], row["after"])
    return (
        f"Side by side, {kind} {better} needs fewer corrections than {worse}: {rates[better]} against {rates[worse]} "
        f"({bounds}): prefer it, if both got the same kind of questions."
    )


def by_day(rows: Sequence[Record], least: int) -> list[Record]:
    """A row for each day: sessions whose first event in the window lies on it, those of them corrected, the rate."""
    return [
        {"day": date.fromisoformat(row["name"]), "sessions": row["sessions"], "corrected_sessions": row["corrected"],
         **rate_of(row["corrected"], row["sessions"], least)}
        for row in rows
    ]  # fmt: skip


def slope(days: Sequence[Record], least: int) -> dict[str, Any]:
    """`trend_per_day_percent`: by how many points the rate changes a day, and `trend`: "falls", "rises" or "not enough to tell".

    The slope is the least squares line through all sessions; it is called a trend where the Cochran-Armitage test
    (Armitage 1955) is 95 % sure. None below three days or `least` sessions.
    """
    sessions = sum(row["sessions"] for row in days)
    found = trend([(row["day"].toordinal(), row["corrected_sessions"], row["sessions"]) for row in days])
    if found is None or len(days) < LEAST_DAYS or sessions < least:
        return {"trend_per_day_percent": None, "trend": NOT_ENOUGH}
    sure = abs(found.z) >= SURE_Z
    return {
        "trend_per_day_percent": 100 * found.slope,
        "trend": ("falls" if found.z < 0 else "rises") if sure else NOT_ENOUGH,
    }


def slope_in_words(found: dict[str, Any], days: int) -> str:
    """The sentence about the trend."""
    if found["trend_per_day_percent"] is None:
        return f"{counted(days, 'day')} with sessions: too few for a trend; look further back with --hours."
    points = f"{abs(found['trend_per_day_percent']):.1f} points a day over {days} days"
    if found["trend"] == NOT_ENOUGH:
        return f"Over {days} days the correction rate shows no trend that chance could not make."
    return f"The correction rate {found['trend']} by {points}."
