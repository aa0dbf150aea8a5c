"""The questions about corrections against an independent computation over generated stores, and what they say in words."""

import csv
import gzip
import os
import statistics
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.generated import quantile
from support.moderated import (
    HOUR_US,
    NOW_US,
    TIERS,
    Begun,
    Facts,
    Made,
    Step,
    answering,
    begun_of,
    facts,
    greatest,
    inside,
    last_drafts,
)  # fmt: skip

from otel_metrics.analytics.questions.document import plain
from otel_metrics.analytics.questions.effectiveness import BEGINNING_DRAFTS
from otel_metrics.analytics.statistics import newcombe, wilson
from otel_metrics.errors import QueryError
from otel_metrics.recording.edits import word_edit_rate

PAIRS = Path(
    os.environ.get("OTEL_METRICS_REAL_PAIRS")
    or Path(__file__).parents[3] / "shared" / "data" / "draft_corrections.tsv.gz"
)


def corrections_in(found: Facts, hours: float) -> list[Made]:
    return [one for one in found if isinstance(one, Made) and inside(one.at_us, hours)]


def edits_in(found: Facts, hours: float) -> list[Made]:
    return [one for one in corrections_in(found, hours) if one.kind != "rejection"]


def expected_groups(found: Facts, hours: float, dimension: str) -> dict[str | None, tuple[int, int]]:
    """Sessions and corrected ones by what their draft, their correction or their beginning says."""
    made = corrections_in(found, hours)
    touched = {one.session for one in found if isinstance(one, Step) and inside(one.end_us, hours)}
    touched |= {one.session for one in made}
    corrected = {one.session for one in edits_in(found, hours)}
    drafts, begun = last_drafts(found, hours), begun_of(found, hours)
    groups: Counter[str | None] = Counter()
    needed: Counter[str | None] = Counter()
    for session in touched:
        draft, begin = drafts.get(session), begun.get(session)
        by_draft = getattr(draft, dimension, None)
        key = {"model": "model", "prompt": "prompt_version", "intent": "intent"}[dimension]
        by_correction = greatest([one.said.get(key) for one in made if one.session == session])
        by_session = getattr(begin, dimension, None)
        order = {
            "model": (by_draft, by_correction), "prompt": (by_draft, by_correction, by_session),
            "intent": (by_session, by_draft, by_correction),
        }[dimension]  # fmt: skip
        name = next((one for one in order if one is not None), None)
        groups[name] += 1
        needed[name] += session in corrected
    return {name: (groups[name], needed[name]) for name in groups}


def check_groups(document: dict, found: Facts, hours: float, least: int) -> None:
    for dimension, key in (("model", "model"), ("prompt", "prompt_version"), ("intent", "intent")):
        rows = {row[key]: row for row in document[f"by_{key}"]}
        expected = expected_groups(found, hours, dimension)
        assert {name: (row["sessions"], row["corrected_sessions"]) for name, row in rows.items()} == expected
        for name, (sessions, corrected) in expected.items():
            assert rows[name]["enough"] == (sessions >= least)
            bounds = wilson(corrected, sessions)
            rate = (
                (100 * corrected / sessions, 100 * bounds.low, 100 * bounds.high) if sessions >= least else (None,) * 3
            )
            assert (rows[name]["rate_percent"], rows[name]["low_percent"], rows[name]["high_percent"]) == pytest.approx(
                rate
            )


def check_sizes(document: dict, found: Facts, hours: float, least: int) -> None:
    edits = edits_in(found, hours)
    rows = {(row["correction_type"], row["measure"]): row for row in document["edit_size"]}
    kinds = {one.kind for one in edits} | ({"all"} if edits else set())
    measures = {
        "word_edit_rate": lambda one: one.rate, "character_edit_rate": lambda one: 1 - one.similarity,
        "original_length": lambda one: one.original, "corrected_length": lambda one: one.corrected,
    }  # fmt: skip
    assert set(rows) == {(kind, measure) for kind in kinds for measure in measures}
    for (kind, measure), row in rows.items():
        values = [measures[measure](one) for one in edits if kind in {"all", one.kind}]
        assert row["count"] == len(values)
        figures = (None,) * 3
        if len(values) >= least:
            figures = (quantile(values, 0.5), quantile(values, 0.9), statistics.fmean(values))
        assert (row["p50"], row["p90"], row["mean"]) == pytest.approx(figures, abs=1e-9)
    buckets = Counter(
        "unchanged" if one.rate == 0 else "light" if one.rate < 0.1 else "medium" if one.rate < 0.5 else "heavy"
        for one in edits
    )
    assert {row["bucket"]: row["count"] for row in document["edit_buckets"]} == {
        name: buckets[name] for name in ("unchanged", "light", "medium", "heavy", "unknown")
    }


def check_voice(document: dict, found: Facts, hours: float, least: int) -> None:
    edits = edits_in(found, hours)
    spoken = {id(one) for one in edits if one.kind == "voice_correction" or one.voice_ms is not None}
    rows = {row["means"]: row for row in document["voice_and_text"]}
    for means in ("voice", "text"):
        part = [one for one in edits if (id(one) in spoken) == (means == "voice")]
        assert (means in rows) == bool(part)
        if not part:
            continue
        row, enough = rows[means], len(part) >= least
        assert (row["count"], row["enough"]) == (len(part), enough)
        work = [one.work_ms for one in part if one.work_ms is not None]
        voice = [one.voice_ms for one in part if one.voice_ms is not None]
        rated = [one.satisfaction for one in part if one.satisfaction is not None]
        assert row["processing_p50_ms"] == pytest.approx(quantile(work, 0.5) if work and enough else None)
        assert row["processing_p90_ms"] == pytest.approx(quantile(work, 0.9) if work and enough else None)
        assert row["transcription_p50_ms"] == pytest.approx(quantile(voice, 0.5) if voice and enough else None)
        assert row["word_edit_rate"] == pytest.approx(statistics.fmean(one.rate for one in part) if enough else None)
        assert row["satisfaction"] == pytest.approx(statistics.fmean(rated) if len(rated) >= least else None)


def check_days(document: dict, found: Facts, hours: float) -> None:
    first: dict[int, int] = {}
    for one in found:
        at_us = one.end_us if isinstance(one, Step) else one.at_us
        if not isinstance(one, Begun) and inside(at_us, hours):
            first[one.session] = min(first.get(one.session, at_us), at_us)
    corrected = {one.session for one in edits_in(found, hours)}
    # Kathmandu is UTC+5:45 all the year.
    days = {session: (at_us // 1_000_000 + 20_700) // 86_400 for session, at_us in first.items()}
    expected = {day: [session for session, one in days.items() if one == day] for day in sorted(set(days.values()))}
    assert [
        ((row["day"].toordinal() - 719_163), row["sessions"], row["corrected_sessions"]) for row in document["days"]
    ] == [(day, len(sessions), len(corrected & set(sessions))) for day, sessions in expected.items()]


@given(facts, st.sampled_from(TIERS), st.sampled_from([1, 24, 48]), st.sampled_from([1, 3]))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_figure_equals_an_independent_computation(found, tier, hours, least):
    """Wherever its rows lie, each figure about corrections is what plain Python computes from the raw facts."""
    with answering(found, tier, timezone="Asia/Kathmandu") as answers:
        document = answers.corrections(hours, least)
    check_groups(document, found, hours, least)
    check_sizes(document, found, hours, least)
    check_voice(document, found, hours, least)
    check_days(document, found, hours)
    made = corrections_in(found, hours)
    reasons = Counter(one.said.get("rejection_reason") for one in made if one.kind == "rejection")
    assert {row["reason"]: row["count"] for row in document["rejection_reasons"]} == reasons
    qualities = Counter(
        one.said.get("transcription_quality") for one in made
        if one.kind == "voice_correction" or one.voice_ms is not None or "transcription_quality" in one.said
    )  # fmt: skip
    assert {row["quality"]: row["count"] for row in document["transcription"]} == qualities


def drafted(number: int, end_us: int, *, prompt: str, corrected: bool, model: str = "fast") -> Facts:
    steps: Facts = [Step(number, "ai_processing", end_us, 1000, said={"prompt_version": prompt, "model": model})]
    if corrected:
        steps.append(Made(number, "text_correction", 1, end_us + 1))
    return steps


def two_versions(before: tuple[int, int], after: tuple[int, int], *, alternating: bool = False) -> Facts:
    """Sessions with v9 and with v10, corrected as often as is said; v10 after v9 or side by side."""
    found: Facts = []
    start_us = NOW_US - 20 * HOUR_US
    for version, (corrected, sessions), offset in (("v9", before, 0), ("v10", after, 6 * HOUR_US)):
        for number in range(sessions):
            end_us = start_us + number * 1_000_000 + (offset if not alternating else 500_000 * (version == "v10"))
            key = number + 1000 * (version == "v10")
            found += drafted(key, end_us, prompt=version, corrected=number < corrected)
    return found


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [((56, 70), (48, 80), "fell"), ((48, 80), (56, 70), "rose"), ((10, 30), (9, 30), "not enough to tell")],
)
def test_a_new_prompt_version_is_judged_by_newcombes_interval(before, after, verdict):
    """The difference has the bounds of the method, and the verdict says whether chance alone can make it."""
    with answering(two_versions(before, after)) as answers:
        document = answers.corrections(24)
    (row,) = document["effectiveness"]
    expected = newcombe(before, after)
    assert (row["changed"], row["before"], row["after"], row["side_by_side"]) == ("prompt_version", "v9", "v10", False)
    assert row["rate_before_percent"] == pytest.approx(100 * before[0] / before[1])
    assert row["difference_low_percent"] == pytest.approx(100 * expected.low)
    assert row["difference_high_percent"] == pytest.approx(100 * expected.high)
    assert row["verdict"] == verdict
    assert row["began_at"].isoformat() == "2025-06-03T22:00:00+00:00"
    words = {"fell": "fell from 80.0 % to 60.0 %", "rose": "rose from 60.0 % to 80.0 %", "not enough to tell": "chance"}
    assert any(words[verdict] in sentence for sentence in document["sentences"])


def test_versions_that_run_at_the_same_time_are_compared_side_by_side():
    """Where both are there from the beginning nobody came after the other: v10 is compared with v9, by name."""
    with answering(two_versions((56, 70), (48, 80), alternating=True)) as answers:
        document = answers.corrections(24)
    (row,) = document["effectiveness"]
    assert (row["before"], row["after"], row["side_by_side"], row["began_at"]) == ("v9", "v10", True, None)
    assert any("Side by side, prompt version v10 needs fewer" in sentence for sentence in document["sentences"])


def test_too_few_sessions_of_a_new_version_are_said_to_be_too_few():
    """Nine sessions give no rate and no verdict, and the sentence says so."""
    with answering(two_versions((15, BEGINNING_DRAFTS), (0, 9))) as answers:
        document = answers.corrections(24)
    (row,) = document["effectiveness"]
    assert (row["rate_after_percent"], row["difference_percent"], row["enough"]) == (None, None, False)
    assert row["verdict"] == "not enough to tell"
    assert any("Too few sessions to judge prompt version v10" in sentence for sentence in document["sentences"])


def test_a_version_that_came_before_the_window_is_no_change_in_it():
    """Drafts before the window tell that the version was in use already."""
    early = drafted(5000, NOW_US - 30 * HOUR_US, prompt="v10", corrected=False)
    older = [
        one for n in range(25) for one in drafted(6000 + n, NOW_US - 40 * HOUR_US + n, prompt="v9", corrected=False)
    ]
    with answering([*two_versions((15, 30), (3, 9)), *early, *older]) as answers:
        assert answers.corrections(24)["effectiveness"] == []


def test_a_draft_that_waited_over_the_windows_begin_still_has_its_model():
    """A session that was drafted before the window and corrected in it counts for its draft's model and prompt version."""
    step = Step(1, "ai_processing", NOW_US - 30 * HOUR_US, 1000, said={"model": "fast", "prompt_version": "v9"})
    with answering([step, Made(1, "text_correction", 1, NOW_US - HOUR_US)]) as answers:
        document = answers.corrections(24)
    assert [(row["model"], row["sessions"], row["corrected_sessions"]) for row in document["by_model"]] == [
        ("fast", 1, 1)
    ]
    assert [row["prompt_version"] for row in document["by_prompt_version"]] == ["v9"]


@pytest.mark.parametrize(
    ("rates", "trend"), [((9, 7, 5, 3, 1), "falls"), ((1, 3, 5, 7, 9), "rises"), ((5, 4, 5, 4, 5), None)]
)
def test_a_trend_over_the_days_is_told_where_there_is_one(rates, trend):
    """Two points more or less a day is a trend; ups and downs are none."""
    found: Facts = []
    for day, corrected in enumerate(rates):
        for number in range(10):
            end_us = NOW_US - (4 - day) * 24 * HOUR_US - number * 1000 - 10
            found += drafted(day * 10 + number, end_us, prompt="v9", corrected=number < corrected)
    with answering(found) as answers:
        document = answers.corrections(24 * 7)
    assert document["trend"] == (trend or "not enough to tell")
    if trend:
        assert abs(document["trend_per_day_percent"]) == pytest.approx(20.0)
    assert any((f"rate {trend} by 20.0 points a day" if trend else "no trend") in one for one in document["sentences"])


def test_the_draft_that_ended_last_names_the_model_and_the_session_its_intent():
    """A slow first try that ends behind a quick second one is the last draft; the session's own intent comes first."""
    found: Facts = [
        Begun(1, NOW_US - HOUR_US, intent="refund"),
        Step(1, "ai_processing", NOW_US - 1000, 60_000_000, said={"model": "slow", "intent": "hours"}),
        Step(1, "ai_processing", NOW_US - 2000, 1_000, said={"model": "fast", "intent": "hours"}),
    ]
    with answering(found) as answers:
        document = answers.corrections(24)
    assert [row["model"] for row in document["by_model"]] == ["slow"]
    assert [row["intent"] for row in document["by_intent"]] == ["refund"]


def test_the_worst_intent_is_named_where_it_is_clearly_worse():
    """People are told where to begin."""
    found: Facts = []
    for number in range(60):
        intent = "refund" if number % 2 else "hours"
        found.append(Begun(number, NOW_US - HOUR_US - 1, intent=intent))
        found += drafted(number, NOW_US - HOUR_US, prompt="v9", corrected=intent == "refund")
    with answering(found) as answers:
        sentences = answers.corrections(24)["sentences"]
    assert any("Begin with the intent refund: 100.0 % of its 30 sessions" in one for one in sentences)


def test_an_empty_store_gives_the_same_shape():
    """Without rows there are empty lists and None, a sentence, and never an error."""
    with answering([]) as empty, answering(two_versions((5, 30), (5, 30))) as full:
        nothing, something = empty.corrections(24), full.corrections(24)
        assert set(empty.dashboard(24)["corrections"]) == set(something)
    assert list(nothing) == list(something)
    assert nothing["by_model"] == nothing["effectiveness"] == nothing["days"] == []
    assert nothing["sentences"] == ["No sessions in this window: nothing was corrected."]
    assert all(row["count"] == 0 and row["part_percent"] is None for row in nothing["edit_buckets"])


def test_the_core_figures_are_those_of_the_dashboard():
    """The command's totals, types and moderators are the dashboard's own, not others of the same name."""
    with answering(two_versions((5, 30), (5, 30))) as answers:
        document, dashboard = answers.corrections(24), answers.dashboard(24)
    document = plain(document)  # as the dashboard is
    assert document == dashboard["corrections"]
    assert (document["sessions"], document["corrected_sessions"]) == (60, 10)


@pytest.mark.parametrize("least", [0, -1, 2.5, True, "3"])
def test_a_floor_must_be_a_whole_number_from_one_on(least):
    """Anything else is refused with what was expected."""
    with answering([]) as answers, pytest.raises(QueryError, match="a whole number from 1 on"):
        answers.corrections(24, least)


def test_the_edit_rate_follows_an_independent_yardstick():
    """Over real drafts and their corrections the word edit rate and the authors' own rate correlate, Pearson 0.9 at least."""
    if not PAIRS.exists():
        pytest.skip(f"the real pairs are not here: {PAIRS.name} in OTEL_METRICS_REAL_PAIRS or ../shared/data")
    with gzip.open(PAIRS, "rt", encoding="utf-8") as lines:
        pairs = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    ours = [word_edit_rate(pair["draft"], pair["corrected"]) for pair in pairs]
    theirs = [float(pair["hter"]) for pair in pairs]
    assert len(pairs) == 7000
    assert statistics.correlation(ours, theirs) >= 0.9
