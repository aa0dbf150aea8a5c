"""Owns the statistics of the answers: intervals of shares, their difference, agreement of two people, a trend; pure, each with its source."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
"""The usual confidence of a two-sided interval."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval of a share, within 0 to 1."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """The second share minus the first one, with its interval, within -1 to 1."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two people agree: the share of items on which they do, and Cohen's kappa (None where it is undefined)."""

    items: int
    observed: float
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Trend:
    """How a share changes with a score: `slope` for each step of one, `z` its distance from no trend in standard errors."""

    slope: float
    z: float


def wilson(successes: int, total: int, confidence: float = CONFIDENCE) -> Interval | None:
    """The two-sided score interval of a share, without correction for continuity; None of nothing.

    Source: Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference, JASA 22, 209-212;
    it is method 3 in Newcombe, R. G. (1998), Statistics in Medicine 17, 857-872.
    """
    return _score(successes, total, NormalDist().inv_cdf(0.5 + confidence / 2))


def wilson_low(successes: int, total: int, confidence: float = CONFIDENCE) -> float | None:
    """The lower end of the one-sided score interval (Wilson 1927): the share is above it with this confidence."""
    found = _score(successes, total, NormalDist().inv_cdf(confidence))
    return None if found is None else found.low


def _score(successes: int, total: int, z: float) -> Interval | None:
    if total == 0:
        return None
    share = successes / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    below = 1 + z * z / total
    # At the ends the formula gives 0 and 1 but for rounding.
    low = 0.0 if successes == 0 else max(0.0, (middle - half) / below)
    high = 1.0 if successes == total else min(1.0, (middle + half) / below)
    return Interval(low, high)


def newcombe(before: tuple[int, int], after: tuple[int, int], confidence: float = CONFIDENCE) -> Difference | None:
    """The hybrid score interval of the difference `after - before` of two independent shares, each (successes, total).

    Source: Newcombe, R. G. (1998), Interval estimation for the difference between independent proportions: comparison of
    eleven methods, Statistics in Medicine 17, 873-890, method 10: squares of the distances to the Wilson bounds are added.
    None where one of the totals is 0.
    """
    first, second = wilson(*before, confidence), wilson(*after, confidence)
    if first is None or second is None:
        return None
    one, two = before[0] / before[1], after[0] / after[1]
    low = two - one - math.hypot(two - second.low, first.high - one)
    high = two - one + math.hypot(second.high - two, one - first.low)
    return Difference(two - one, max(-1.0, low), min(1.0, high))


def cohens_kappa(decisions: Mapping[tuple[str, str], int]) -> Agreement | None:
    """Agreement beyond chance of two people on the same items; `decisions` counts items by what each of them decided.

    kappa = (p_o - p_e) / (1 - p_e), where p_o is the share of items on which both decide alike, and p_e that share if
    each decided by chance as often as they do. 1 is full agreement, 0 is chance; undefined (None) where p_e is 1, that is
    where both always decide the same. Source: Cohen, J. (1960), A coefficient of agreement for nominal scales,
    Educational and Psychological Measurement 20, 37-46. None of no items.
    """
    items = sum(decisions.values())
    if items == 0:
        return None
    first: dict[str, int] = {}
    second: dict[str, int] = {}
    for (one, other), count in decisions.items():
        first[one] = first.get(one, 0) + count
        second[other] = second.get(other, 0) + count
    alike = sum(count for (one, other), count in decisions.items() if one == other)
    by_chance = sum(count * second.get(decision, 0) for decision, count in first.items())  # times the squared items
    if by_chance == items * items:
        return Agreement(items, alike / items, None)
    return Agreement(items, alike / items, (alike * items - by_chance) / (items * items - by_chance))


def trend(counts: Sequence[tuple[float, int, int]]) -> Trend | None:
    """Whether a share changes steadily with a score; each entry is (score, successes, total).

    The slope is that of the least squares line through the single cases, z that of the Cochran-Armitage test. Source:
    Armitage, P. (1955), Tests for linear trends in proportions and frequencies, Biometrics 11, 375-386. None where it is
    undefined: fewer than two scores with cases.
    """
    total = sum(of for _, _, of in counts)
    if total == 0:
        return None
    mean_score = sum(score * of for score, _, of in counts) / total
    spread = sum(of * (score - mean_score) ** 2 for score, _, of in counts)
    if spread == 0:
        return None
    share = sum(successes for _, successes, _ in counts) / total
    together = sum((score - mean_score) * (successes - share * of) for score, successes, of in counts)
    error = math.sqrt(share * (1 - share) * spread)
    return Trend(together / spread, together / error if error else 0.0)
