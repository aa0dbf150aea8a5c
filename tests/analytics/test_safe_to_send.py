"""Which intents could skip review, against an independent computation over generated stores, and what is said of it."""

from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.judged import Review, reviews_of
from support.moderated import (
    BACK_HOURS,
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

from otel_metrics.analytics.statistics import wilson_low
from otel_metrics.errors import QueryError


def cases(found: Facts, hours: float) -> dict[tuple[str | None, str | None], list[tuple[bool, list[Review]]]]:
    """By intent and prompt version the decided drafts: whether each went out unchanged, and its reviews."""
    drafts, begun = last_drafts(found, hours), begun_of(found, hours)
    by_session: dict[int, list[Review]] = defaultdict(list)
    for one in reviews_of(found, hours):
        if one.decision is not None:
            by_session[one.session].append(one)
    arrived = {
        one.session for one in found
        if isinstance(one, Step) and one.stage == "user_delivery" and one.success and inside(one.end_us, hours)
    }  # fmt: skip
    groups = defaultdict(list)
    for session, reviews in by_session.items():
        draft, begin = drafts.get(session), begun.get(session)
        if draft is None or not draft.drafted:
            continue
        made = [
            one
            for one in found
            if isinstance(one, Made) and one.session == session and inside(one.at_us, hours + BACK_HOURS)
        ]
        changed = bool(made) or any(one.decision != "approved" for one in reviews)
        outcome = begin.outcome if begin else None
        delivered = outcome == "delivered" or (outcome is None and session in arrived)
        if not changed and outcome is None and session not in arrived:
            continue
        intent = (begin.intent if begin else None) or draft.intent or greatest([one.said.get("intent") for one in made])
        prompt = (
            draft.prompt
            or greatest([one.said.get("prompt_version") for one in made])
            or (begin.prompt if begin else None)
        )
        groups[intent, prompt].append((delivered and not changed, reviews))
    return groups


@given(
    facts,
    st.sampled_from(TIERS),
    st.sampled_from([1, 24, 48]),
    st.sampled_from([1, 2]),
    st.sampled_from(["all", "v9", "v10"]),
)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_figure_equals_an_independent_computation(found, tier, hours, least, prompt):
    """Wherever its rows lie, each intent's drafts, share, bound, verdict and saving are what plain Python computes."""
    with answering(found, tier) as answers:
        document = answers.safe_to_send(hours, 40, 0.8, least, prompt)
    groups = cases(found, hours)
    assert document["drafts"] == sum(map(len, groups.values()))
    assert document["drafts_without_intent"] == sum(len(of) for (intent, _), of in groups.items() if intent is None)
    expected = defaultdict(list)
    for (intent, version), of in groups.items():
        if intent is not None and prompt in {"all", version}:
            expected[intent] += of
    rows = {row["intent"]: row for row in document["intents"]}
    assert set(rows) == set(expected)
    skipped = 0
    for intent, of in expected.items():
        row, unchanged = rows[intent], sum(good for good, _ in of)
        reviews = [one for _, reviews in of for one in reviews]
        assert (row["drafts"], row["went_unchanged"], row["enough"]) == (len(of), unchanged, len(of) >= least)
        low = wilson_low(unchanged, len(of), 0.8) if len(of) >= least else None
        assert row["at_least_share"] == pytest.approx(low)
        assert row["unchanged_share"] == pytest.approx(None if low is None else unchanged / len(of))
        could = low is not None and low >= 0.6
        assert row["verdict"] == (
            "not enough drafts" if low is None else "could skip review" if could else "keep reviewing"
        )
        assert row["reviews"] == len(reviews)
        assert row["review_ms"] == pytest.approx(sum(one.ms or 0 for one in reviews))
        skipped += len(reviews) if could else 0
    assert document["saved_reviews"] == skipped


def decided(
    number: int, *, intent: str | None = "hours", prompt: str | None = "v9", corrected: bool = False, hours_ago: float = 1,
    outcome: str | None = "delivered",
) -> Facts:  # fmt: skip
    end_us = NOW_US - round(hours_ago * HOUR_US) + number * 1000
    said = {} if prompt is None else {"prompt_version": prompt}
    found: Facts = [
        Begun(number, end_us - 10**8, intent=intent, outcome=outcome),
        Step(number, "ai_processing", end_us - 5 * 10**7, 1000, said=said),
        Step(number, "admin_review", end_us, 60_000_000, said={"moderator_id": 7}),
    ]
    return [*found, Made(number, "text_correction", 7, end_us)] if corrected else found


def test_an_intent_whose_bound_is_within_the_risk_could_skip_review():
    """Of 100 drafts all went out unchanged: at least 97.4 % with 95 % confidence, so that 5 % of risk are kept."""
    with answering([step for number in range(100) for step in decided(number)]) as answers:
        document = answers.safe_to_send(24)
        strict = answers.safe_to_send(24, risk_percent=1)
    (row,) = document["intents"]
    assert (row["verdict"], row["drafts"], row["went_unchanged"], row["unchanged_share"]) == (
        "could skip review",
        100,
        100,
        1.0,
    )
    assert row["at_least_share"] == pytest.approx(100 / (100 + 1.6448536**2))
    assert (document["saved_reviews"], document["saved_review_ms"]) == (100, 6_000_000.0)
    assert document["sentences"][0].startswith(
        "hours could skip review: 100 of 100 drafts went out unchanged, 95 % sure at least 97.4 %. That would save 100 reviews "
        "and 1.7 hours of review time"
    )
    assert strict["intents"][0]["verdict"] == "keep reviewing"
    assert "guarantees nothing" in document["sentences"][-1]


def test_one_that_is_close_is_told_how_many_more_it_takes():
    """40 of 40 unchanged are not enough for 5 %: 52 are, so 12 more in a row would do, and then do."""
    with answering([step for number in range(40) for step in decided(number)]) as answers:
        document = answers.safe_to_send(24)
    (row,) = document["intents"]
    assert (row["verdict"], row["unchanged_needed"]) == ("keep reviewing", 12)
    assert wilson_low(52, 52) >= 0.95 > wilson_low(51, 51)
    assert "hours is close: after 12 more drafts in a row" in " ".join(document["sentences"])


def test_below_the_floor_there_is_no_verdict():
    """29 drafts are counted, but give neither share nor bound."""
    with answering([step for number in range(29) for step in decided(number)]) as answers:
        document = answers.safe_to_send(24, risk_percent=50)
    (row,) = document["intents"]
    assert (row["verdict"], row["unchanged_share"], row["at_least_share"], row["enough"]) == (
        "not enough drafts", None, None, False,
    )  # fmt: skip
    assert "Not enough drafts for a verdict: hours" in " ".join(document["sentences"])


def test_only_the_latest_prompt_version_is_looked_at_unless_all_are_asked_for():
    """The old prompt's corrections do not speak against the new prompt; `all` and a version's name look at the others."""
    old = [step for number in range(40) for step in decided(number, corrected=True, hours_ago=9)]
    new = [step for number in range(100, 200) for step in decided(number, prompt="v10")]
    with answering(old + new) as answers:
        latest, everything = answers.safe_to_send(24), answers.safe_to_send(24, prompt="all")
        named, missing = answers.safe_to_send(24, prompt="v9"), answers.safe_to_send(24, prompt="v1")
    assert [(row["prompt_version"], row["drafts"], row["verdict"]) for row in latest["intents"]] == [
        ("v10", 100, "could skip review")
    ]
    assert [(row["prompt_version"], row["drafts"], row["verdict"]) for row in everything["intents"]] == [
        (None, 140, "keep reviewing")
    ]
    assert [(row["prompt_version"], row["drafts"], row["went_unchanged"]) for row in named["intents"]] == [
        ("v9", 40, 0)
    ]
    assert missing["intents"] == []


def test_drafts_without_an_intent_are_counted_and_not_judged():
    """Nobody could let them skip review; people are told how to name them."""
    with answering([step for number in range(40) for step in decided(number, intent=None)]) as answers:
        document = answers.safe_to_send(24)
    assert (document["drafts_without_intent"], document["intents"]) == (40, [])
    assert "40 drafts have no intent" in " ".join(document["sentences"])


def test_what_was_sent_without_review_proves_nothing():
    """A session that nobody reviewed is no decided draft, nor is one that is approved and not yet out."""
    found = [
        step
        for number in range(5)
        for step in decided(number)
        if not (isinstance(step, Step) and step.stage == "admin_review")
    ]
    found += [step for number in range(5, 10) for step in decided(number, outcome=None)]
    with answering(found) as answers:
        assert answers.safe_to_send(24)["drafts"] == 0


def test_a_session_without_a_draft_that_succeeded_is_not_counted():
    """Where the model failed a human wrote the answer: that says nothing about drafts."""
    found = [
        Step(1, "ai_processing", step.end_us, 1000, success=False)
        if isinstance(step, Step) and step.stage == "ai_processing"
        else step
        for step in decided(1)
    ]
    with answering(found) as answers:
        assert answers.safe_to_send(24)["drafts"] == 0


def test_an_approved_draft_that_did_not_arrive_is_not_called_unchanged():
    """It is decided, and counts on the safe side."""
    with answering(decided(1, outcome="failed")) as answers:
        (row,) = answers.safe_to_send(24, least=1)["intents"]
    assert (row["drafts"], row["went_unchanged"]) == (1, 0)


def test_an_empty_store_gives_the_same_shape():
    """Without rows there are zeros and an empty list, a sentence, and never an error."""
    with answering([]) as empty, answering(decided(1)) as full:
        nothing, something = empty.safe_to_send(24), full.safe_to_send(24)
        assert list(empty.dashboard(24)["safe_to_send"]) == list(something)
    assert list(nothing) == list(something)
    assert (nothing["drafts"], nothing["saved_reviews"], nothing["intents"]) == (0, 0, [])
    assert nothing["sentences"] == ["No draft was decided in this window; look further back with --hours."]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"risk_percent": 0}, "a number above 0 and below 100"),
        ({"risk_percent": 100}, "a number above 0 and below 100"),
        ({"confidence": 1}, "a number above 0.5 and below 1"),
        ({"confidence": True}, "a number above 0.5 and below 1"),
        ({"least": 0}, "a whole number from 1 on"),
    ],
)
def test_options_that_can_not_be_are_refused(options, expected):
    """Anything else is refused with what was expected."""
    with answering([]) as answers, pytest.raises(QueryError, match=expected):
        answers.safe_to_send(24, **options)
