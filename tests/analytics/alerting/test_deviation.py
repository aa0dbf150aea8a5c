"""Deviations from the same hour of earlier weeks: the score, the weeks that count, and the explanation."""

import statistics
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.alerting import Step, Visit, played, readings, rules_of

from otel_metrics.analytics.alerting.of_weeks import robust_z, weeks_before

WEEK = 7 * 86_400
TIERS = ["hot", "cold", "both"]
KEPT = {"retention_days": 0, "session_timeout_hours": "1h"}


def rule_of(folder: Path, **more: object):
    text = "".join(f"{name} = {value!r}\n" for name, value in {"figure": "arrivals", **more}.items())
    return rules_of(folder, f'[[rule]]\nname = "unusual"\nkind = "deviation"\n{text}')[0]


def weekly(counts: list[int], old: bool = True) -> list[Visit]:
    """So many visits in the hour before NOW, in that hour a week ago, and so on; and one long before."""
    several = [
        Visit(weeks * WEEK + 60 + n, (Step("ai_processing", 1, 2),))
        for weeks, count in enumerate(counts)
        for n in range(count)
    ]
    return [*several, Visit(len(counts) * WEEK + 86_400, (Step("ai_processing", 0, 1),))] if old else several  # fmt: skip


@pytest.mark.parametrize("tier", TIERS)
def test_it_explains_itself(tmp_path, tier):
    """Many sessions fire with what there was on other Tuesdays at that hour."""
    with played(tmp_path, weekly([41, 12, 15, 14, 18, 13, 16]), tier, **KEPT) as service:
        (one,) = readings(service, rule_of(tmp_path))
    assert one.breached
    assert one.value == pytest.approx(0.6745 * (41 - 14.5) / 1.5)
    assert one.message == (
        "41 sessions began in the last 1h; Tuesdays 14:00–15:00 had 12 to 18 in 6 of the last 6 weeks "
        "(z-score 11.9, the limit is 3.5)."
    )
    assert one.figures["earlier"] == [12, 15, 14, 18, 13, 16]


def test_direction_and_threshold_decide(tmp_path):
    """Too few fire where `direction` looks below, and an hour as usual does not."""
    with played(tmp_path, weekly([0, 12, 15, 14, 18, 13, 16]), **KEPT) as service:
        found = {
            side: readings(service, rule_of(tmp_path, direction=side))[0].breached
            for side in ("above", "below", "both")
        }
        lenient = readings(service, rule_of(tmp_path, threshold=9.0))[0].breached
    assert found == {"above": False, "below": True, "both": True}
    assert not lenient


def test_weeks_before_the_store_do_not_count(tmp_path):
    """With three weeks of data there is no judgement, and none is made of weeks that nobody recorded."""
    first = Visit(3 * WEEK + 7200, (Step("ai_processing", 0, 1),))
    with played(tmp_path, [*weekly([41, 12, 15, 14], old=False), first], **KEPT) as service:
        (few,) = readings(service, rule_of(tmp_path))
        (enough,) = readings(service, rule_of(tmp_path, least_weeks=3))
    assert (few.value, few.enough, few.breached) == (None, False, False)
    assert "3 earlier weeks, at least 4 are needed" in few.message
    assert (enough.samples, enough.breached) == (3, True)


def test_an_hour_without_sessions_counts_as_such(tmp_path):
    """A week in which the bot was there and nobody came is a week with 0, and not a missing one."""
    with played(tmp_path, weekly([5, 0, 0, 1, 0, 0, 2]), **KEPT) as service:
        (one,) = readings(service, rule_of(tmp_path))
    assert one.figures["earlier"] == [0, 0, 1, 0, 0, 2]
    assert one.value == pytest.approx(5.0)  # √1, since the MAD is 0
    assert one.breached


numbers = st.lists(st.integers(0, 14), min_size=7, max_size=7)


@given(numbers, st.lists(st.integers(0, 9), min_size=7, max_size=7), st.sampled_from(TIERS))
@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
def test_rates_and_means_equal_an_independent_computation(counts, failures, tier):
    """Failure rate, correction rate and mean duration of each week with enough samples, their median and MAD are what plain Python computes."""
    facts = [
        Visit(
            week * WEEK + 100 + n, (Step("ai_processing", 1, 2 + (n * 7 + week) % 11, n >= failures[week]),),
            correction="text_correction" if n % 3 == 0 and n < failures[week] else None,
        )
        for week, count in enumerate(counts) for n in range(count)
    ]  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as name,
        played(Path(name), [*facts, Visit(9 * WEEK, (Step("own", 0, 1),))], tier, **KEPT) as service,
    ):
        found = {
            figure: readings(service, rule_of(Path(name), figure=figure, least=5, least_weeks=2))[0]
            for figure in ("failure_rate", "mean_duration", "correction_rate")
        }
    for figure, reading in found.items():
        values = [
            {
                "failure_rate": lambda w, c: 100 * min(c, failures[w]) / c,
                "mean_duration": lambda w, c: statistics.fmean(1000 * (2 + (n * 7 + w) % 11) for n in range(c)),
                "correction_rate": lambda w, c: 100 * len([n for n in range(c) if n % 3 == 0 and n < failures[w]]) / c,
            }[figure](week, count) if count >= 5 else None
            for week, count in enumerate(counts)
        ]  # fmt: skip
        earlier = [one for one in values[1:] if one is not None]
        if values[0] is None or len(earlier) < 2:
            assert not reading.enough
            continue
        median = statistics.median(earlier)
        mad = statistics.median(abs(one - median) for one in earlier)
        assert reading.figures["now"] == pytest.approx(values[0])
        assert reading.figures["median"] == pytest.approx(median)
        assert reading.figures["mad"] == pytest.approx(mad, abs=1e-9)
        if mad > 1e-6:
            assert reading.value == pytest.approx(0.6745 * (values[0] - median) / mad)


def test_the_score_is_that_of_iglewicz_and_hoaglin():
    """0.6745 (x - median) / MAD; where the MAD is 0 the scatter that chance makes stands in its place."""
    assert robust_z(10, [1, 2, 3, 4, 5], 1) == pytest.approx(0.6745 * 7 / 1)
    assert robust_z(10, [3, 3, 3, 9], 2) == pytest.approx(3.5)
    assert robust_z(3, [3, 3, 3], 0) == 0


def test_weeks_follow_the_clock_on_the_wall():
    """Where the clocks were changed in between, it is the same time of day in the zone of the settings."""
    now = datetime.fromisoformat("2026-03-31T12:00:00")  # 14:00 in Paris, which had 13:00 in winter time
    assert weeks_before(now, 1, "Europe/Paris") == datetime.fromisoformat("2026-03-24T13:00:00")
    assert weeks_before(now, 1, "UTC") == datetime.fromisoformat("2026-03-24T12:00:00")


def test_the_week_in_which_recording_began_does_not_count(tmp_path):
    """An hour in the middle of which the bot was first started is no whole one."""
    with played(tmp_path, weekly([41, 12, 15, 14, 18], old=False), **KEPT) as service:
        (one,) = readings(service, rule_of(tmp_path, least_weeks=2))
    assert one.figures["earlier"] == [12, 15, 14]
