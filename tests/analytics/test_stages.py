"""Where the time of a session goes, against plain Python over the facts."""

import itertools
import tempfile
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.generated import NOW_NS, Stage, StoppedClock, make_store, quantile
from support.told import NOW, TIERS, Ran, Told, telling

from otel_metrics.analytics.answers import Answers
from otel_metrics.errors import QueryError
from otel_metrics.model.vocabulary import ProcessingStage

HOUR_MS = 3_600_000
QUIET = {"max_examples": 20, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

rans = st.builds(
    Ran, st.sampled_from([*map(str, ProcessingStage), "own_stage"]), st.integers(0, 30 * HOUR_MS),
    st.integers(0, 3 * HOUR_MS), st.booleans(),
)  # fmt: skip
close = st.builds(Ran, st.sampled_from(["a", "moderation_queue", "c"]), st.integers(0, 20), st.integers(0, 12))
told = st.builds(
    Told, st.integers(0, 30 * HOUR_MS), st.just(1), st.sampled_from([None, "delivered"]),
    (st.lists(rans, max_size=5) | st.lists(close, max_size=5)).map(tuple),
)  # fmt: skip


def owned_by(stages: list[Ran]) -> Counter[str]:
    """Milliseconds by stage, walked one by one between the moments at which something begins or ends."""
    owned: Counter[str] = Counter()
    moments = sorted({moment for one in stages for moment in (one.start, one.end)})
    for begun, ended in itertools.pairwise(moments):
        running = [one for one in stages if one.start <= begun and one.end >= ended]
        ms = (ended - begun) / timedelta(milliseconds=1)
        if running:
            owned[max(running, key=lambda one: (one.start, -one.end.timestamp(), one.stage)).stage] += ms
        else:
            owned["between stages"] += ms
    return owned


def check_times(row: dict, found: list[Ran]) -> None:
    took = [one.took_ms for one in found]
    assert row["count"] == len(found)
    assert row["failed"] == sum(not one.success for one in found)
    assert row["success_percent"] == pytest.approx(100 * sum(one.success for one in found) / len(found))
    assert row["mean_ms"] == pytest.approx(sum(took) / len(took))
    assert row["p50_ms"] == pytest.approx(quantile(took, 0.5))
    assert row["enough"] == (len(found) >= 20)
    for name, share in (("p95_ms", 0.95), ("p99_ms", 0.99)):
        assert row[name] == (pytest.approx(quantile(took, share)) if len(found) >= 20 else None)


@given(
    st.lists(told, max_size=3) | st.lists(told, min_size=10, max_size=16),
    st.sampled_from(TIERS),
    st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York"]),
)
@settings(**QUIET)
def test_every_figure_equals_an_independent_computation(sessions, tier, zone):
    """Wherever the rows lie, counts, times and shares are what plain Python computes from the facts."""
    with tempfile.TemporaryDirectory() as folder, telling(Path(folder), sessions, tier, timezone=zone) as service:
        document = service.answers.stages(24)
    inside = [one for session in sessions for one in session.stages if one.ended_ago_ms < 24 * HOUR_MS]
    by_stage, by_hour, by_day = defaultdict(list), defaultdict(list), defaultdict(list)
    for one in inside:
        local = one.end.astimezone(ZoneInfo(zone))
        by_stage[one.stage].append(one)
        by_hour[
            one.end - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond), one.stage
        ].append(one)
        by_day[local.date(), one.stage].append(one)
    assert {row["stage"] for row in document["by_stage"]} == set(by_stage)
    for row in document["by_stage"]:
        check_times(row, by_stage[row["stage"]])
    assert {(row["hour"], row["stage"]) for row in document["by_hour"]} == set(by_hour)
    for row in document["by_hour"]:
        check_times(row, by_hour[row["hour"], row["stage"]])
    assert {(row["day"], row["stage"]) for row in document["by_day"]} == set(by_day)
    for row in document["by_day"]:
        check_times(row, by_day[row["day"], row["stage"]])

    touched = [session.stages for session in sessions if any(one.ended_ago_ms < 24 * HOUR_MS for one in session.stages)]
    ends = [
        (max(one.end for one in ran) - min(one.start for one in ran)) / timedelta(milliseconds=1) for ran in touched
    ]
    assert document["sessions"] == len(touched)
    assert document["end_to_end_mean_ms"] == (pytest.approx(sum(ends) / len(ends)) if ends else None)
    assert document["end_to_end_p50_ms"] == (pytest.approx(quantile(ends, 0.5)) if ends else None)
    owned = sum((owned_by(list(ran)) for ran in touched), Counter())
    total = sum(ends)
    for row in document["end_to_end"]:
        ms = owned[row["stage"]]
        assert row["mean_per_session_ms"] == pytest.approx(ms / len(touched), abs=1e-6), row
        assert row["time_share"] == (pytest.approx(ms / total, abs=1e-9) if total else None)
    if total:
        assert document["waiting_share"] == pytest.approx(owned["moderation_queue"] / total)
        assert document["between_share"] == pytest.approx(owned["between stages"] / total, abs=1e-9)
        shares = ("waiting_share", "working_share", "between_share")
        assert sum(document[name] for name in shares) == pytest.approx(1)
        if len(touched) >= 10:
            assert owned[document["bottleneck"]] == pytest.approx(max(owned.values()))
            assert document["saved_per_session_ms"] == pytest.approx(0.2 * max(owned.values()) / len(touched))
    assert (document["bottleneck"] is not None) == (len(touched) >= 10 and total > 0)


def test_nested_and_overlapping_stages_count_each_moment_once(tmp_path):
    """Inside a review the correction has its own time, and the review what is left on both sides of it."""
    stages = (Ran("admin_review", 0, 100), Ran("correction_ai", 40, 30), Ran("query_received", 120, 10))
    with telling(tmp_path, [Told(stages=stages)]) as service:
        found = {row["stage"]: row["mean_per_session_ms"] for row in service.answers.stages()["end_to_end"]}
    assert found == {"query_received": 10, "admin_review": 70, "correction_ai": 30, "between stages": 20}


def test_the_bottleneck_is_named_with_what_an_improvement_brings(tmp_path):
    """Ten sessions of which the queue takes 80 of 100 seconds: 20 % less there is 16 s, 16 % of the whole."""
    stages = (Ran("ai_processing", 80_000, 20_000), Ran("moderation_queue", 0, 80_000))
    with telling(tmp_path, [Told(stages=stages)] * 10) as service:
        document = service.answers.stages()
        half = service.answers.stages(improvement_percent=50)
    assert (document["bottleneck"], document["time_at_bottleneck_share"]) == ("moderation_queue", 0.8)
    assert document["saved_per_session_ms"] == pytest.approx(16_000)
    assert document["saved_of_end_to_end_percent"] == pytest.approx(16)
    assert half["saved_per_session_ms"] == pytest.approx(40_000)
    assert document["sentences"][0] == (
        "Most time goes to moderation_queue: 80 % of the 1.7 min that a session takes on average."
    )
    assert document["sentences"][1] == "If moderation_queue took 20 % less, a session would take 16 s less (16 %)."


def test_nine_sessions_are_too_few_to_name_a_bottleneck(tmp_path):
    """Below the floor there is no bottleneck, and the answer says how many are needed."""
    with telling(tmp_path, [Told(stages=(Ran("ai_processing", 0, 50),))] * 9) as service:
        document = service.answers.stages()
    assert (document["bottleneck"], document["saved_per_session_ms"], document["enough"]) == (None, None, False)
    assert document["sentences"] == ["9 sessions in this time: from 10 on a bottleneck can be named."]


def test_errors_are_counted_by_kind(tmp_path):
    """A failed stage counts under the type of its error ('failed' where the bot only said so), with its share of the stage's runs."""
    with telling(tmp_path, []) as service:
        session = service.create_session(1, 2)
        for error in (KeyError, KeyError, None, None):
            try:
                with service.timer(session, 1, 2, "ai_processing"):
                    if error:
                        raise error
            except KeyError:
                pass
        service.record_stage(session, 1, 2, "ai_processing", start_time=NOW, success=False)
        found = service.answers.stages()["errors"]
    assert [(row["stage"], row["error_type"], row["count"], row["failed_share"]) for row in found] == [
        ("ai_processing", "KeyError", 2, 0.4), ("ai_processing", "failed", 1, 0.2),
    ]  # fmt: skip


def test_a_failed_stage_without_a_kind_is_unknown(tmp_path):
    """Rows of an adopted or older store say that a stage failed and not how."""
    storage, chosen = make_store(tmp_path, [Stage(1, "ai_processing", NOW_NS // 1000 - 10, 5, False)], [])
    (row,) = Answers(storage, chosen, StoppedClock()).stages()["errors"]
    assert (row["error_type"], row["count"]) == ("unknown", 1)


def test_one_stage_can_be_chosen(tmp_path):
    """With `stage` the lists are of that stage alone; what a session takes as a whole stays."""
    stages = (Ran("ai_processing", 80, 20), Ran("moderation_queue", 0, 80, success=False))
    with telling(tmp_path, [Told(stages=stages)]) as service:
        document = service.answers.stages(stage="ai_processing")
    for name in ("by_stage", "by_hour", "by_day"):
        assert {row["stage"] for row in document[name]} == {"ai_processing"}, name
    assert document["errors"] == []
    assert document["end_to_end_mean_ms"] == 100


def test_a_stage_that_is_not_there_is_told_with_those_that_are(tmp_path):
    """An unknown name gives empty lists, and the first sentence names the stages of the window in their usual order."""
    stages = (Ran("ai_processing", 80, 20), Ran("query_received", 0, 80))
    with telling(tmp_path, [Told(stages=stages)]) as service:
        unknown, known = service.answers.stages(stage="nope"), service.answers.stages(stage="ai_processing")
    said = "No stage 'nope' has ended in this time; there are query_received, ai_processing."
    assert (unknown["by_stage"], unknown["sentences"][0]) == ([], said)
    assert not any("No stage" in sentence for sentence in known["sentences"])


def test_an_empty_store_has_the_same_shape(tmp_path):
    """Without a stage every figure is there, as zero, None or an empty list."""
    with telling(tmp_path / "a", []) as service:
        empty = service.answers.stages()
    with telling(tmp_path / "b", [Told(stages=(Ran("a", 0, 5),))]) as service:
        one = service.answers.stages()
    assert set(empty) == set(one)
    assert empty["sentences"] == ["No stage has ended in this time."]
    assert (empty["sessions"], empty["end_to_end_mean_ms"], empty["waiting_share"]) == (0, None, None)
    assert [empty[name] for name in ("by_stage", "errors", "by_hour", "by_day", "end_to_end")] == [[]] * 5


@pytest.mark.parametrize("percent", [0, -1, 101, float("nan")])
def test_an_improvement_is_a_percentage(tmp_path, percent):
    """Anything that is none is refused with what was expected."""
    with telling(tmp_path, []) as service, pytest.raises(QueryError, match="above 0, at most 100"):
        service.answers.stages(improvement_percent=percent)


def test_an_hour_that_the_clocks_repeat_is_two_hours(tmp_path):
    """In the night in which clocks go back, the hour that comes twice gives two rows, of one day."""
    night = datetime.fromisoformat("2026-10-25T00:30:00+00:00")
    with telling(tmp_path, [], timezone="Europe/Berlin") as service:
        service._clock.set_time(night + timedelta(hours=2))
        session = service.create_session(1, 2)
        for hour in (0, 1):
            moment = night + timedelta(hours=hour)
            service.record_stage(session, 1, 2, "a", start_time=moment, end_time=moment)
        document = service.answers.stages()
    assert [row["hour"].hour for row in document["by_hour"]] == [0, 1]
    assert [row["count"] for row in document["by_day"]] == [2]
