"""Users: how often they come, when, and how long they wait, against plain Python over the facts."""

import tempfile
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.generated import quantile
from support.told import NOW, TIERS, Ran, Told, telling

from otel_metrics.analytics.questions.coverage import covered_hours
from otel_metrics.errors import QueryError

HOUR_MS = 3_600_000
QUIET = {"max_examples": 20, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
LIMITS_MS = (60_000, 600_000, 3_600_000)


@st.composite
def sessions(draw: st.DrawFn) -> Told:
    """A session whose stages follow its beginning."""
    began = draw(st.integers(0, 80)) * HOUR_MS + draw(st.integers(1, HOUR_MS))
    user, outcome = draw(st.integers(0, 4)), draw(st.sampled_from([None, "delivered", "rejected"]))
    stages = []
    if draw(st.booleans()):
        length = draw(st.none() | st.integers(0, 500))
        metadata = {} if length is None else {"message_length": length}
        stages.append(Ran("query_received", draw(st.integers(0, began)), 0, metadata=metadata))
    for _ in range(draw(st.integers(0, 2))):
        ago = max(0, began - draw(st.sampled_from([0, 30_000, 300_000, 3_000_000, 9 * HOUR_MS])))
        stages.append(Ran("user_delivery", ago, min(10, began - ago), draw(st.booleans())))
    if draw(st.booleans()):
        stages.append(
            Ran("final_response", draw(st.integers(0, began)), 0, metadata={"length": draw(st.integers(0, 500))})
        )
    return Told(began, user, outcome, tuple(stages))


def ms(between: timedelta) -> float:
    return between / timedelta(milliseconds=1)


@given(
    st.lists(sessions(), max_size=3) | st.lists(sessions(), min_size=15, max_size=40),
    st.sampled_from(TIERS),
    st.sampled_from(["UTC", "Asia/Kolkata"]),
    st.sampled_from([24, 60]),
)
@settings(**QUIET)
def test_every_figure_equals_an_independent_computation(told, tier, zone, hours):
    """Wherever the rows lie, every figure is what plain Python computes from the facts."""
    with tempfile.TemporaryDirectory() as folder, telling(Path(folder), told, tier, timezone=zone) as service:
        document = service.answers.users(hours, within_hours=6)
    since = NOW - timedelta(hours=hours)
    begun = [one for one in told if one.began > since]
    check_people(document, begun)
    check_hours(document, begun, zone)
    check_repeats(document, told, since)
    check_responses(document, begun)
    check_lengths(document, told, since)


def check_people(document: dict, begun: list[Told]) -> None:
    by_user = Counter(one.user for one in begun if one.user)
    assert document["sessions"] == len(begun)
    assert document["sessions_without_user"] == sum(not one.user for one in begun)
    assert document["users"] == len(by_user)
    assert document["sessions_per_user_mean"] == (pytest.approx(by_user.total() / len(by_user)) if by_user else None)
    assert document["sessions_per_user_most"] == max(by_user.values(), default=None)
    assert document["sessions_per_user_p95"] is None  # there are four users at most
    top = sorted(by_user.items(), key=lambda one: (-one[1], one[0]))
    assert [(row["user_id"], row["sessions"]) for row in document["top_users"]] == top
    assert sum(row["users"] for row in document["sessions_per_user"]) == len(by_user)
    for row in document["sessions_per_user"]:
        low, high = {"1": (1, 1), "2": (2, 2), "3 to 5": (3, 5), "6 to 10": (6, 10), "11+": (11, 99)}[row["sessions"]]
        inside = [count for count in by_user.values() if low <= count <= high]
        assert row["users"] == len(inside)
        assert row["of_sessions_share"] == pytest.approx(sum(inside) / by_user.total())


def check_hours(document: dict, begun: list[Told], zone: str) -> None:
    local = [one.began.astimezone(ZoneInfo(zone)) for one in begun]
    hours, weekdays = Counter(one.hour for one in local), Counter(one.strftime("%A") for one in local)
    assert {row["hour"]: row["sessions"] for row in document["by_hour_of_day"] if row["sessions"]} == {
        f"{hour:02d}:00": count for hour, count in hours.items()
    }
    assert {row["weekday"]: row["sessions"] for row in document["by_weekday"] if row["sessions"]} == dict(weekdays)


def check_repeats(document: dict, told: list[Told], since: datetime) -> None:
    six = timedelta(hours=6)
    by_user: dict[int, list[Told]] = defaultdict(list)
    for one in told:
        if one.user:
            by_user[one.user].append(one)
    repeats = known = first = came = unanswered = resolved = 0
    for theirs in by_user.values():
        theirs.sort(key=lambda one: one.began)
        for place, one in enumerate(theirs):
            is_repeat = place > 0 and one.began - theirs[place - 1].began <= six
            comes_again = place + 1 < len(theirs) and theirs[place + 1].began - one.began <= six
            if one.began > since:
                known += 1
                repeats += is_repeat
            if since - six < one.began <= NOW - six and not is_repeat:
                answered = one.outcome == "delivered" or answered_at(one) is not None
                first += 1
                came += comes_again
                unanswered += not comes_again and not answered
                resolved += not comes_again and answered
    assert (document["repeats"], document["first_contacts"]) == (repeats, first)
    assert (document["came_again"], document["not_answered"]) == (came, unanswered)
    assert document["repeat_share"] == (pytest.approx(repeats / known) if known >= 10 else None)
    assert document["resolved_at_first_contact_share"] == (pytest.approx(resolved / first) if first >= 10 else None)


def answered_at(one: Told) -> datetime | None:
    return min((ran.end for ran in one.stages if ran.stage == "user_delivery" and ran.success), default=None)


def check_responses(document: dict, begun: list[Told]) -> None:
    responses, unanswered = [], Counter()
    within = {limit: [0, 0] for limit in LIMITS_MS}
    for one in begun:
        asked = min((ran.start for ran in one.stages if ran.stage == "query_received"), default=one.began)
        answered = answered_at(one)
        took = None if answered is None else max(0.0, ms(answered - asked))
        if took is not None:
            responses.append(took)
        else:
            active = max([one.began, *(ran.end for ran in one.stages)])
            idle = active < NOW - timedelta(hours=72)
            unanswered[one.outcome or ("abandoned" if idle else "open")] += 1
        for limit, counts in within.items():
            if ms(NOW - asked) >= limit:
                counts[0] += 1
                counts[1] += took is not None and took <= limit
    assert document["answered"] == len(responses)
    assert document["response_mean_ms"] == (pytest.approx(sum(responses) / len(responses)) if responses else None)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95)):
        expected = pytest.approx(quantile(responses, share)) if len(responses) >= 10 else None
        assert document[f"response_{name}_ms"] == expected
    assert {row["outcome"]: row["sessions"] for row in document["without_answer"]} == dict(unanswered)
    assert document["still_open"] == unanswered["open"]
    assert document["never_answered"] == unanswered.total() - unanswered["open"]
    for row in document["answered_within"]:
        count, in_time = within[row["within_ms"]]
        assert (row["sessions"], row["answered"], row["enough"]) == (count, in_time, count >= 10)
        assert row["in_time_share"] == (pytest.approx(in_time / count) if count >= 10 else None)


def check_lengths(document: dict, told: list[Told], since: datetime) -> None:
    found = {"question": [], "answer": []}
    for one in told:
        for ran in one.stages:
            if ran.metadata and ran.end > since:
                found["question" if ran.stage == "query_received" else "answer"].append(
                    next(iter(ran.metadata.values()))
                )
    assert {row["of"]: row["count"] for row in document["lengths"]} == {
        of: len(all_) for of, all_ in found.items() if all_
    }
    for row in document["lengths"]:
        lengths, enough = found[row["of"]], row["count"] >= 10
        assert row["enough"] == enough
        assert row["mean"] == pytest.approx(sum(lengths) / len(lengths))
        assert row["longest"] == max(lengths)
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95)):
            assert row[name] == (pytest.approx(quantile(lengths, share)) if enough else None)


def test_a_session_still_open_is_not_counted_as_never_answered(tmp_path):
    """Somebody who waits may still get an answer; who was rejected or has been idle for three days will not."""
    told = [Told(1000, 1, None), Told(1000, 2, "rejected"), Told(80 * HOUR_MS, 3, None)]
    with telling(tmp_path, told) as service:
        document = service.answers.users(100)
    assert (document["still_open"], document["never_answered"]) == (1, 2)
    assert {row["outcome"] for row in document["without_answer"]} == {"open", "rejected", "abandoned"}


def test_who_asked_a_moment_ago_is_not_late_yet(tmp_path):
    """The share within an hour is of those who asked an hour ago or earlier: a fresh question does not lower it."""
    answered = [
        Told(2 * HOUR_MS, n, "delivered", (Ran("user_delivery", 2 * HOUR_MS - 1000, 10),)) for n in range(1, 11)
    ]
    fresh = [Told(30_000, 50 + n, None) for n in range(10)]
    with telling(tmp_path, answered + fresh) as service:
        document = service.answers.users()
    assert [row["sessions"] for row in document["answered_within"]] == [10, 10, 10]
    assert [row["in_time_share"] for row in document["answered_within"]] == [1, 1, 1]


def test_coming_again_is_told_and_its_hours_can_be_chosen(tmp_path):
    """The same user five hours later is a repeat within six hours and a new contact within four."""
    told = [Told(began, 7) for began in (20 * HOUR_MS, 15 * HOUR_MS)] + [Told(HOUR_MS, n) for n in range(10, 20)]
    with telling(tmp_path, told) as service:
        six, four = service.answers.users(within_hours=6), service.answers.users(within_hours=4)
    assert (six["repeats"], six["users_who_came_again"], six["repeat_share"]) == (1, 1, pytest.approx(1 / 12))
    assert (four["repeats"], four["repeat_share"]) == (0, 0)
    assert any("8.3 % of the sessions are of somebody who had asked within 6 h" in said for said in six["sentences"])


def test_a_window_no_longer_than_the_hours_of_a_repeat_says_why_it_has_no_first_contact(tmp_path):
    """At 24 hours within 24 nothing is over: a sentence asks for more hours; within 6 there is none to say."""
    with telling(tmp_path, [Told(20 * HOUR_MS, 7)]) as service:
        day, six = service.answers.users(24, within_hours=24), service.answers.users(24, within_hours=6)
    said = "First contacts are counted after 24 h: a window of them needs more hours than 24."
    assert (day["first_contacts"], six["first_contacts"]) == (0, 1)
    assert said in day["sentences"]
    assert not any("First contacts" in sentence for sentence in six["sentences"])


def test_a_weekday_that_the_window_has_twice_is_no_peak_for_that(tmp_path):
    """Peaks are rates: over eleven days a session begins every two hours, and on the one Friday two more."""
    every = [Told(n * 2 * HOUR_MS + 1, n + 1) for n in range(11 * 12)]
    friday = [one for one in every if one.began.weekday() == 4]
    with telling(tmp_path, [*every, *friday[:2]]) as service:
        document = service.answers.users(24 * 11)
        one_day = service.answers.users(24)
    most = max(document["by_weekday"], key=lambda one: one["sessions"])
    assert most["weekday"] != "Friday"
    assert document["peak_weekday"] == "Friday"
    assert one_day["peak_weekday"] is None


def test_an_empty_store_has_the_same_shape(tmp_path):
    """Without a session every figure is there, as zero, None or an empty list."""
    with telling(tmp_path / "a", []) as service:
        empty = service.answers.users()
    with telling(tmp_path / "b", [Told(5, 1)]) as service:
        one = service.answers.users()
    assert set(empty) == set(one)
    assert empty["sentences"] == ["No session has begun in this time."]
    assert (empty["sessions"], empty["users"], empty["answered"], empty["repeats"]) == (0, 0, 0, 0)
    assert (one["sessions"], one["enough"], one["repeat_share"]) == (1, False, None)


@pytest.mark.parametrize("within", [0, -1, float("nan"), 9000])
def test_hours_of_a_repeat_are_a_number_above_zero(tmp_path, within):
    """Anything else is refused with what was expected."""
    with telling(tmp_path, []) as service, pytest.raises(QueryError, match="above 0"):
        service.answers.users(within_hours=within)


@given(st.integers(0, 40 * 24 * 3600), st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Berlin", "Australia/Lord_Howe"]))
@settings(max_examples=20, deadline=None)
def test_covered_hours_are_all_hours_of_the_period(seconds, zone):
    """Hours of day and weekdays each add up to the period, and no hour of day is covered more often than there are days."""
    until = datetime(2026, 4, 9, 7, 13, 5)
    since = until - timedelta(seconds=seconds)
    hours, weekdays = covered_hours(since, until, zone)
    assert sum(hours) == pytest.approx(seconds / 3600, abs=1e-6)
    assert sum(weekdays) == pytest.approx(seconds / 3600, abs=1e-6)
    walked = Counter(
        (since + timedelta(hours=n)).replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).weekday()
        for n in range(seconds // 3600)
    )
    assert all(abs(weekdays[day] - walked[day]) <= 8 for day in range(7))
