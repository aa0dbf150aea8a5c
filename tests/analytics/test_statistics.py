"""The statistics against worked examples of the papers that they come from, and properties that hold for all counts."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from otel_metrics.analytics.statistics import cohens_kappa, newcombe, trend, wilson, wilson_low

shares = st.integers(1, 10_000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))
decisions = st.dictionaries(
    st.tuples(st.sampled_from("ABC"), st.sampled_from("ABC")), st.integers(0, 500), max_size=9
).filter(lambda found: sum(found.values()) > 0)


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_that_of_the_published_examples(successes, total, low, high):
    """The four shares of Newcombe 1998 (single proportion, method 3) give the bounds that are printed there."""
    found = wilson(successes, total)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("after", "before", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombes_interval_is_that_of_the_published_examples(after, before, low, high):
    """The eight differences of Newcombe 1998 (method 10) give the bounds that are printed there."""
    found = newcombe(before, after)
    assert found.difference == pytest.approx(after[0] / after[1] - before[0] / before[1])
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_kappa_is_that_of_cohens_own_example():
    """The 200 diagnoses of Cohen 1960 agree in 70 %, 41 % are expected by chance: kappa is .492."""
    found = cohens_kappa({
        ("A", "A"): 88, ("A", "B"): 14, ("A", "C"): 18, ("B", "A"): 10, ("B", "B"): 40, ("B", "C"): 10,
        ("C", "A"): 2, ("C", "B"): 6, ("C", "C"): 12,
    })  # fmt: skip
    assert (found.items, found.observed) == (200, 0.7)
    assert found.kappa == pytest.approx(0.492, abs=5e-4)


def test_the_trend_is_that_of_the_smokers_example():
    """Smokers among lung patients in four studies (Fleiss 1981, R's prop.trend.test): chi-squared is 8.2249, the square of z."""
    found = trend([(1, 83, 86), (2, 90, 93), (3, 129, 136), (4, 70, 82)])
    assert found.z**2 == pytest.approx(8.2249, abs=5e-5)
    assert found.z < 0
    assert found.slope < 0


def test_nothing_gives_none():
    """Of no cases there is no interval, no agreement and no trend, and no error either."""
    assert wilson(0, 0) is None
    assert wilson_low(0, 0) is None
    assert newcombe((0, 0), (1, 2)) is None
    assert newcombe((1, 2), (0, 0)) is None
    assert cohens_kappa({}) is None
    assert trend([]) is None
    assert trend([(3, 1, 2)]) is None


def test_two_who_always_decide_the_same_have_no_kappa():
    """Where both approve everything, chance explains all of it: they agree fully and kappa is undefined."""
    found = cohens_kappa({("approved", "approved"): 50})
    assert (found.items, found.observed, found.kappa) == (50, 1.0, None)


def test_a_share_of_all_or_nothing_has_no_trend():
    """Where every case is alike the slope is 0 and so is z."""
    assert trend([(0, 5, 5), (1, 7, 7)]).z == 0.0
    assert trend([(0, 0, 5), (1, 0, 7)]).slope == 0.0


@given(shares, st.floats(0.5, 0.999))
def test_an_interval_holds_its_share_and_mirrors_failures(share, confidence):
    """Bounds lie around the share within 0 to 1, and those of the failures are one minus those of the successes."""
    successes, total = share
    found, failures = wilson(successes, total, confidence), wilson(total - successes, total, confidence)
    assert 0.0 <= found.low <= successes / total + 1e-12
    assert successes / total - 1e-12 <= found.high <= 1.0
    assert found.low == pytest.approx(1 - failures.high, abs=1e-9)


@given(shares, st.floats(0.55, 0.999))
def test_the_interval_solves_the_score_equation(share, confidence):
    """At a bound p the distance of the share from p is exactly z standard errors of p: that is Wilson's definition."""
    successes, total = share
    assume(successes > 0)
    low = wilson_low(successes, total, confidence)
    found = (successes / total - low) / math.sqrt(low * (1 - low) / total)
    assert 0.5 * (1 + math.erf(found / math.sqrt(2))) == pytest.approx(confidence, abs=1e-6)


@given(shares, st.floats(0.6, 0.99))
def test_one_side_is_closer_than_two(share, confidence):
    """With the same confidence the one-sided bound is nearer to the share, and more cases bring it nearer still."""
    successes, total = share
    assert wilson_low(successes, total, confidence) >= wilson(successes, total, confidence).low
    assert wilson_low(10 * successes, 10 * total, confidence) >= wilson_low(successes, total, confidence) - 1e-12


@given(shares, shares)
def test_a_difference_turned_round_has_the_bounds_turned_round(one, other):
    """Before and after exchanged, the interval is the same one with the other sign; it holds the difference."""
    found, turned = newcombe(one, other), newcombe(other, one)
    assert (found.low, found.high) == (pytest.approx(-turned.high), pytest.approx(-turned.low))
    assert -1.0 <= found.low <= found.difference + 1e-12
    assert found.difference - 1e-12 <= found.high <= 1.0


@given(decisions)
def test_kappa_is_the_same_from_either_side_and_never_above_the_observed(found):
    """Exchanging the two people changes nothing; kappa is at most the observed agreement, and 1 only of full agreement."""
    agreement = cohens_kappa(found)
    turned = cohens_kappa({(other, one): count for (one, other), count in found.items()})
    assert (agreement.items, agreement.observed) == (turned.items, turned.observed)
    if agreement.kappa is None:
        assert agreement.observed == 1.0
        return
    assert agreement.kappa == pytest.approx(turned.kappa)
    assert -1.0 - 1e-12 <= agreement.kappa <= agreement.observed + 1e-12
    assert (agreement.kappa == 1.0) == (agreement.observed == 1.0)


@given(st.lists(shares, min_size=2, max_size=6), st.floats(-50, 50), st.sampled_from([0.5, 2.0, 10.0]))
def test_a_trend_does_not_depend_on_where_scores_begin(found, shift, scale):
    """Scores moved or stretched give the same z, and a slope that is as much smaller as they are stretched."""
    plain = trend([(float(place), *share) for place, share in enumerate(found)])
    moved = trend([(shift + scale * place, *share) for place, share in enumerate(found)])
    assert moved.z == pytest.approx(plain.z, abs=1e-6)
    assert moved.slope * scale == pytest.approx(plain.slope, abs=1e-9)
