"""The questions about moderators against an independent computation over generated stores, and what they say in words."""

import statistics
from collections import Counter, defaultdict
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.generated import quantile
from support.judged import Review, draft_length, reviews_of
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
    chat_of,
    facts,
    inside,
    last_drafts,
)  # fmt: skip

from otel_metrics.analytics.statistics import cohens_kappa, wilson, wilson_low
from otel_metrics.errors import QueryError


def too_fast(found: Facts, hours: float, reviews: list[Review]) -> tuple[int, int]:
    """Approvals whose draft's length is known, and those of them in less time than 238 words a minute allow."""
    drafts = last_drafts(found, hours)
    judged = fast = 0
    for one in reviews:
        length = draft_length(one.session, found, hours, getattr(drafts.get(one.session), "length", None))
        if one.decision == "approved" and one.ms is not None and length:
            judged += 1
            fast += one.ms < length / 6.1 / 238 * 60_000
    return judged, fast


def check_moderator(row: dict, moderator: int, reviews: list[Review], found: Facts, hours: float, least: int) -> None:
    decisions = Counter(one.decision for one in reviews)
    decided = len(reviews) - decisions[None]
    assert (row["reviews"], row["approvals"], row["corrections"], row["rejections"], row["undecided"]) == (
        len(reviews), decisions["approved"], decisions["edited"], decisions["rejected"], decisions[None],
    )  # fmt: skip
    times = [one.ms for one in reviews if one.ms is not None]
    assert row["active_ms"] == pytest.approx(sum(times))
    assert row["active_hours"] == len({one.at_us // HOUR_US for one in reviews})
    assert row["enough"] == (len(reviews) >= least)
    timed = len(times) >= least
    assert row["review_p50_ms"] == pytest.approx(quantile(times, 0.5) if timed else None)
    assert row["review_p90_ms"] == pytest.approx(quantile(times, 0.9) if timed else None)
    share = (None,) * 3
    if decided >= least:
        bounds = wilson(decisions["edited"], decided)
        share = (decisions["edited"] / decided, bounds.low, bounds.high)
    assert (row["correction_share"], row["correction_low_share"], row["correction_high_share"]) == pytest.approx(share)
    made = [one for one in found if isinstance(one, Made) and one.admin == moderator and inside(one.at_us, hours)]
    rated = [one.satisfaction for one in made if one.satisfaction is not None]
    rates = [one.rate for one in made if one.kind != "rejection"]
    assert row["satisfaction"] == pytest.approx(statistics.fmean(rated) if len(rated) >= least else None)
    assert row["word_edit_rate"] == pytest.approx(statistics.fmean(rates) if len(rates) >= least else None)


def expected_pairs(found: Facts, hours: float, reviews: list[Review]) -> dict[tuple[int, int], Counter]:
    """What pairs of moderators decided on the same items: one session, or one message in sessions of one chat."""
    known = [one for one in reviews if one.moderator is not None and one.decision is not None]
    begun = begun_of(found, hours)
    chats = {one.session for one in known if one.session in begun or has_row(one.session, found, hours)}
    sessions: dict[object, dict[int, list[Review]]] = defaultdict(lambda: defaultdict(list))
    messages: dict[object, dict[int, list[Review]]] = defaultdict(lambda: defaultdict(list))
    for one in known:
        sessions[one.session][one.moderator].append(one)
        if one.message is not None and one.session in chats:
            messages[chat_of(one.session), one.message][one.moderator].append(one)
    pairs: dict[tuple[int, int], Counter] = defaultdict(Counter)
    for items, other_session in ((sessions, False), (messages, True)):
        for by_moderator in items.values():
            first = {
                moderator: min(of, key=lambda one: (one.at_us, one.decision, f"s{one.session}"))
                for moderator, of in by_moderator.items()
            }
            for (one, mine), (other, theirs) in product(first.items(), repeat=2):
                if one < other and (not other_session or mine.session != theirs.session):
                    pairs[one, other][mine.decision, theirs.decision] += 1
    return pairs


def has_row(session: int, found: Facts, hours: float) -> bool:
    """Whether the store knows the session by a stage alone: its first stage in the store makes it begin."""
    begins = [one for one in found if isinstance(one, Begun) and one.session == session]
    if begins:
        return False
    stages = [one for one in found if isinstance(one, Step) and one.session == session]
    return bool(stages) and inside(min(one.end_us - one.duration_us for one in stages), hours + 72)


@given(facts, st.sampled_from(TIERS), st.sampled_from([1, 24, 48]), st.sampled_from([1, 3]))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_figure_equals_an_independent_computation(found, tier, hours, least):
    """Wherever its rows lie, each figure about moderators is what plain Python computes from the raw facts."""
    with answering(found, tier) as answers:
        document = answers.moderators(hours, least)
    reviews = reviews_of(found, hours)
    by_moderator: dict[int, list[Review]] = defaultdict(list)
    for one in reviews:
        if one.moderator is not None:
            by_moderator[one.moderator].append(one)
    assert document["reviews_without_moderator"] == sum(one.moderator is None for one in reviews)
    rows = {row["moderator_id"]: row for row in document["moderators"]}
    assert set(rows) == set(by_moderator)
    stamps = {row["moderator_id"]: row for row in document["rubber_stamps"]}
    for moderator, of in by_moderator.items():
        check_moderator(rows[moderator], moderator, of, found, hours, least)
        approvals = sum(one.decision == "approved" for one in of)
        assert (moderator in stamps) == bool(approvals)
        if approvals:
            judged, fast = too_fast(found, hours, of)
            row = stamps[moderator]
            assert (row["approvals"], row["judged"], row["not_judged"]) == (approvals, judged, approvals - judged)
            assert row["faster_than_reading"] == fast
            low = wilson_low(fast, judged) if judged >= least else None
            assert row["too_fast_low_share"] == pytest.approx(low)
            assert row["flagged"] == (None if low is None else low > 0.5)
    expected = expected_pairs(found, hours, reviews)
    assert {(row["one_id"], row["other_id"]): row["items"] for row in document["agreement"]} == {
        pair: sum(decisions.values()) for pair, decisions in expected.items()
    }
    for row in document["agreement"]:
        together = cohens_kappa(expected[row["one_id"], row["other_id"]])
        enough = together.items >= least
        assert row["enough"] == enough
        assert row["agreed_share"] == pytest.approx(together.observed if enough else None)
        assert row["kappa"] == pytest.approx(together.kappa if enough else None)


def approved(number: int, seconds: float, *, length: int | None = 610, moderator: int = 7) -> Facts:
    end_us = NOW_US - HOUR_US + number * 1000
    said = {} if length is None else {"output_length": length}
    return [
        Step(number, "ai_processing", end_us - 10**9, 1000, said=said),
        Step(number, "admin_review", end_us, round(seconds * 1e6), said={"moderator_id": moderator}),
    ]


def test_approvals_faster_than_reading_are_flagged():
    """100 words take 25.2 seconds to read: who approves 30 of 30 in 5 seconds is flagged, who takes 30 seconds is not."""
    found = [step for number in range(30) for step in approved(number, 5)]
    found += [step for number in range(30, 60) for step in approved(number, 30, moderator=8)]
    with answering(found) as answers:
        document = answers.moderators(24)
        quick = answers.moderators(24, words_per_minute=2000)
    stamps = {row["moderator_id"]: row for row in document["rubber_stamps"]}
    assert (stamps[7]["too_fast_share"], stamps[7]["flagged"]) == (1.0, True)
    assert (stamps[8]["too_fast_share"], stamps[8]["flagged"]) == (0.0, False)
    assert stamps[7]["too_fast_low_share"] == pytest.approx(wilson_low(30, 30))
    assert any(
        "Moderator 7 approved 100 % of 30 drafts faster than they can be read" in one for one in document["sentences"]
    )
    assert not any(row["flagged"] for row in quick["rubber_stamps"])


def test_the_share_from_which_on_somebody_is_flagged_can_be_chosen():
    """15 of 30 too fast are at least 36 %: flagged above 30 %, not above 50 %."""
    found = [step for number in range(30) for step in approved(number, 5 if number % 2 else 60)]
    with answering(found) as answers:
        assert answers.moderators(24)["rubber_stamps"][0]["flagged"] is False
        assert answers.moderators(24, flag_percent=30)["rubber_stamps"][0]["flagged"] is True


def test_approvals_of_drafts_of_unknown_length_are_not_judged():
    """Without a length there is no reading time: they are counted as not judged, and people are told what to record."""
    with answering([step for number in range(30) for step in approved(number, 1, length=None)]) as answers:
        document = answers.moderators(24)
    (row,) = document["rubber_stamps"]
    assert (row["not_judged"], row["judged"], row["too_fast_share"], row["flagged"]) == (30, 0, None, None)
    assert any("output_length=" in sentence for sentence in document["sentences"])


def test_below_the_floor_there_are_counts_and_no_figures():
    """Nineteen reviews are counted; shares, times and means are None and the row says that it is not enough."""
    with answering([step for number in range(19) for step in approved(number, 30)]) as answers:
        document = answers.moderators(24)
        (enough,) = answers.moderators(24, least=19)["moderators"]
    (row,) = document["moderators"]
    assert (row["reviews"], row["approvals"], row["enough"]) == (19, 19, False)
    figures = (
        "review_p50_ms",
        "review_p90_ms",
        "correction_share",
        "correction_low_share",
        "satisfaction",
        "word_edit_rate",
    )
    assert all(row[name] is None for name in figures)
    assert (enough["enough"], enough["review_p50_ms"]) == (True, 30_000.0)
    assert any("Fewer than 20 reviews, so no figures: 7." in sentence for sentence in document["sentences"])


def test_agreement_is_cohens_kappa_over_what_both_decided():
    """Two moderators who agree on 70 of 100 items by Cohen's own proportions have the kappa of his example."""
    table = {
        ("approved", "approved"): 44, ("approved", "edited"): 7, ("approved", "rejected"): 9, ("edited", "approved"): 5,
        ("edited", "edited"): 20, ("edited", "rejected"): 5, ("rejected", "approved"): 1, ("rejected", "edited"): 3,
        ("rejected", "rejected"): 6,
    }  # fmt: skip
    found: Facts = []
    for number, (one, other) in enumerate(pair for pair, items in table.items() for _ in range(items)):
        for place, (moderator, decision) in enumerate(((7, one), (8, other))):
            end_us = NOW_US - HOUR_US + number * 1000 + place
            found.append(
                Step(number, "admin_review", end_us, 10, said={"moderator_id": moderator, "decision": decision})
            )
    with answering(found) as answers:
        document = answers.moderators(24)
        few = answers.moderators(24, least=101)
    (row,) = document["agreement"]
    assert (row["one_id"], row["other_id"], row["items"], row["agreed_share"]) == (7, 8, 100, 0.7)
    assert row["kappa"] == pytest.approx(0.492, abs=5e-4)
    assert any("decided alike on 70 % of 100 items" in one and "moderate" in one for one in document["sentences"])
    assert (few["agreement"][0]["kappa"], few["agreement"][0]["enough"]) == (None, False)


def test_a_review_of_what_somebody_else_corrected_is_no_approval():
    """Who ends a review in a session that another moderator corrected, and says nothing, has decided nothing."""
    found: Facts = [
        Step(1, "admin_review", NOW_US - 1000, 10, said={"moderator_id": 7}), Made(1, "text_correction", 8, NOW_US - 900),
    ]  # fmt: skip
    with answering(found) as answers:
        rows = {row["moderator_id"]: row for row in answers.moderators(24)["moderators"]}
    assert (rows[7]["approvals"], rows[7]["undecided"], rows[8]["corrections"]) == (0, 1, 1)


def test_a_message_that_two_saw_in_one_session_is_one_item():
    """The session and the message are the same item then, and it is counted once."""
    found: Facts = [Begun(1, NOW_US - HOUR_US)]
    for moderator in (7, 8):
        said = {"moderator_id": moderator, "decision": "approved", "message_id": "5"}
        found.append(Step(1, "admin_review", NOW_US - 1000 + moderator, 10, said=said))
    with answering(found) as answers:
        (row,) = answers.moderators(24)["agreement"]
    assert row["items"] == 1


def test_a_drafts_length_is_its_original_before_it_is_the_answers():
    """A moderator approved what another had corrected: the long draft counts, not the short answer that went out."""
    found: Facts = [
        Step(1, "admin_review", NOW_US - 1000, 10_000_000, said={"moderator_id": 7, "decision": "approved"}),
        Made(1, "text_correction", 8, NOW_US - 900, original=2000, corrected=10),
        Step(1, "final_response", NOW_US - 800, 10, said={"length": 10}),
    ]
    with answering(found) as answers:
        (row,) = answers.moderators(24)["rubber_stamps"]
    assert (row["judged"], row["faster_than_reading"]) == (1, 1)


def test_a_message_of_another_chat_is_another_item():
    """Message ids count within a chat: sessions 0 and 1 share one, session 2 has its own."""
    found: Facts = [Begun(number, NOW_US - HOUR_US) for number in range(3)]
    for session, moderator in ((0, 7), (1, 8), (2, 9)):
        said = {"moderator_id": moderator, "decision": "approved", "message_id": "5"}
        found.append(Step(session, "admin_review", NOW_US - 1000 + session, 10, said=said))
    with answering(found) as answers:
        pairs = answers.moderators(24)["agreement"]
    assert [(row["one_id"], row["other_id"], row["items"]) for row in pairs] == [(7, 8, 1)]


def test_nobody_is_made_of_reviews_that_name_nobody():
    """An absent moderator, which is stored as 0, is no moderator: such reviews are counted apart."""
    steps = [Step(number, "admin_review", NOW_US - number, 10) for number in range(3)]
    with answering([*steps, Made(9, "text_correction", 0, NOW_US - 5)]) as answers:
        document = answers.moderators(24)
    assert (document["moderators"], document["reviews"], document["reviews_without_moderator"]) == ([], 0, 4)
    assert "names its moderator" in document["sentences"][0]


def test_an_empty_store_gives_the_same_shape():
    """Without rows there are empty lists and zeros, a sentence, and never an error."""
    with answering([]) as empty, answering(approved(1, 30)) as full:
        nothing, something = empty.moderators(24), full.moderators(24)
        assert list(empty.dashboard(24)["moderators"]) == list(something)
    assert list(nothing) == list(something)
    assert (nothing["reviews"], nothing["active_ms"], nothing["moderators"], nothing["agreement"]) == (0, 0.0, [], [])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"least": 0}, "a whole number from 1 on"),
        ({"words_per_minute": 0}, "a number above 0"),
        ({"words_per_minute": float("nan")}, "a number above 0"),
        ({"flag_percent": 100}, "a number above 0 and below 100"),
        ({"flag_percent": "50"}, "a number above 0"),
    ],
)
def test_options_that_can_not_be_are_refused(options, expected):
    """Anything else is refused with what was expected."""
    with answering([]) as answers, pytest.raises(QueryError, match=expected):
        answers.moderators(24, **options)
