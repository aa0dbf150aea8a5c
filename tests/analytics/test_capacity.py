"""Queue and capacity: every figure against plain Python over the recorded facts, hot rows, cold rows and both."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import fmean, median
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.generated import quantile
from support.tiers import move_to_segments

from otel_metrics import MetricsService
from otel_metrics.analytics.answers import Answers
from otel_metrics.analytics.erlang import servers_needed, waits_longer
from otel_metrics.analytics.questions.capacity import LEAST_REVIEWS
from otel_metrics.analytics.questions.week import hours_covered
from otel_metrics.errors import QueryError
from otel_metrics.testing import SteppedClock, temporary_service

NOW = datetime(2026, 3, 31, 10, 20, tzinfo=UTC)
ZONE = "Europe/Berlin"  # its clocks go forward on 2026-03-29


@dataclass(frozen=True)
class Visit:
    """A session: when it begins (seconds before now), how long each of its steps takes (None: there is none)."""

    before_s: int
    draft_ok: bool = True
    queue_s: int | None = 60
    queue_ok: bool = True
    pause_s: int = 30
    review_s: int | None = 120
    moderator: int | None = 1
    correction_s: int | None = None
    is_nested: bool = False
    is_sent: bool = True
    outcome: str | None = "delivered"


@dataclass
class Fact:
    session: int
    stage: str
    start: datetime
    end: datetime
    ok: bool = True
    moderator: int | None = None
    is_nested: bool = False


@dataclass
class Facts:
    stages: list[Fact] = field(default_factory=list)
    ended: dict[int, datetime] = field(default_factory=dict)


visits = st.builds(
    Visit, st.integers(0, 12 * 86_400), st.booleans(), st.none() | st.integers(0, 3_000), st.booleans(), st.integers(0, 2_000),
    st.none() | st.integers(1, 900), st.none() | st.integers(1, 3), st.none() | st.integers(1, 300), st.booleans(), st.booleans(),
    st.sampled_from([None, "delivered", "abandoned"]),
)  # fmt: skip


def record(service: MetricsService, clock: SteppedClock, visits: list[Visit]) -> Facts:
    """Plays the visits; what is recorded is noted down beside it."""
    facts = Facts()
    for number, visit in enumerate(visits):
        at = NOW - timedelta(seconds=visit.before_s)
        clock.set_time(at)
        who = (service.create_session(1, 1), 1, 1)

        def stage(name: str, seconds: float, *, ok: bool = True, number=number, who=who, **more: Any) -> None:
            nonlocal at
            end = at + timedelta(seconds=seconds)
            service.record_stage(*who, name, start_time=at, end_time=end, success=ok, **more)
            facts.stages.append(Fact(number, name, at, end, ok, more.get("admin_user_id")))
            at = end

        stage("query_received", 1)
        stage("ai_processing", 5, ok=visit.draft_ok)
        if visit.queue_s is not None:
            stage("moderation_queue", visit.queue_s, ok=visit.queue_ok)
        at += timedelta(seconds=visit.pause_s)
        more = {} if visit.moderator is None else {"admin_user_id": visit.moderator}
        if visit.review_s is not None and visit.is_nested and visit.correction_s is not None:
            at = nested(service, clock, facts, (number, who), visit, at, more)
        else:
            if visit.review_s is not None:
                stage("admin_review", visit.review_s, **more)
            if visit.correction_s is not None:
                stage("correction_processing", visit.correction_s)
        if visit.is_sent:
            stage("user_delivery", 1)
        if visit.outcome:
            clock.set_time(at)
            service.end_session(who[0], visit.outcome)
            facts.ended[number] = at
    clock.set_time(NOW)
    return facts


def nested(service, clock, facts, who, visit, at, more) -> datetime:
    """A correction inside of its review."""
    number, arguments = who
    clock.set_time(at)
    with service.timer(*arguments, "admin_review", **more):
        clock.advance(visit.review_s)
        inner = at + timedelta(seconds=visit.review_s)
        with service.timer(*arguments, "correction_processing"):
            clock.advance(visit.correction_s)
    end = inner + timedelta(seconds=visit.correction_s)
    facts.stages.append(Fact(number, "admin_review", at, end, moderator=more.get("admin_user_id")))
    facts.stages.append(Fact(number, "correction_processing", inner, end, is_nested=True))
    return end


def expected(facts: Facts, hours: float, target_s: float, weeks: float) -> dict[str, Any]:
    """The figures by their definitions."""
    since = NOW - timedelta(hours=hours)
    history = min(since, NOW - timedelta(weeks=weeks))
    known = [one for one in facts.stages if history < one.end <= NOW]
    by_session: dict[int, list[Fact]] = defaultdict(list)
    for one in known:
        by_session[one.session].append(one)
    drafts = []
    for session, stages in by_session.items():
        gone = facts.ended.get(session, NOW)
        queued = [one for one in stages if one.stage == "moderation_queue"]
        drafts += [(one.start, one.end if one.ok else None, one.end) for one in queued]
        made = [one.end for one in stages if one.stage == "ai_processing" and one.ok]
        reviews = [one.start for one in stages if one.stage == "admin_review"]
        is_sent = any(one.stage == "user_delivery" for one in stages)
        if not queued and made and (reviews or not is_sent):
            taken = min((one for one in reviews if one >= max(made)), default=None)
            drafts.append((max(made), taken, gone))
    drafts = [one for one in drafts if history < one[0] <= NOW]
    inside = [one for one in drafts if one[0] > since]
    handled: dict[int, float] = defaultdict(float)
    for one in known:
        if one.stage in {"admin_review", "correction_processing"} and not one.is_nested:
            handled[one.session] += (one.end - one.start).total_seconds() * 1000
    first = min((one.start for one in known), default=NOW)
    covered = plainly_covered(max(first, history), NOW)
    arrivals: dict[tuple[int, int], int] = defaultdict(int)
    for arrived, _, _ in drafts:
        arrivals[place(arrived)] += 1
    present: dict[tuple[int, int], set[Any]] = defaultdict(set)
    for one in known:
        if one.stage == "admin_review" and one.moderator is not None:
            local = one.end.astimezone(ZoneInfo(ZONE))
            present[place(one.end)].add((local.date(), one.moderator))
    return {
        "drafts": len(inside),
        "picked_up": sum(taken is not None for _, taken, _ in inside),
        "in_time_share": in_time(inside, target_s),
        "waits": [(taken - arrived).total_seconds() * 1000 for arrived, taken, _ in inside if taken],
        "handled": list(handled.values()),
        "covered": covered,
        "arrivals": arrivals,
        "present": present,
        "by_hour": {key: in_time([one for one in drafts if place(one[0]) == key], target_s) for key in arrivals},
    }


def in_time(drafts: list[Any], target_s: float) -> float | None:
    waits = [((taken or gone) - arrived, taken is not None) for arrived, taken, gone in drafts]
    good = sum(is_taken and wait.total_seconds() <= target_s for wait, is_taken in waits)
    bad = sum(wait.total_seconds() > target_s for wait, _ in waits)
    return good / (good + bad) if good + bad else None


def place(moment: datetime) -> tuple[int, int]:
    local = moment.astimezone(ZoneInfo(ZONE))
    return local.weekday(), local.hour


def plainly_covered(since: datetime, until: datetime) -> dict[tuple[int, int], float]:
    """Second by second in steps of whole seconds: slow and plain."""
    covered: dict[tuple[int, int], float] = defaultdict(float)
    moment = since
    while moment < until:
        step = min(timedelta(seconds=60 - moment.second), until - moment)
        covered[place(moment)] += step.total_seconds() / 3600
        moment += step
    return covered


def same(found: Any, wanted: Any) -> bool:
    return found is None if wanted is None else found == pytest.approx(wanted)


@given(
    st.lists(visits, max_size=40), st.sampled_from([1, 24, 200, 400]), st.sampled_from([0.5, 10.0]), st.sampled_from([0.5, 1.0]),
    st.sampled_from(["hot", "cold", "both"]),
)  # fmt: skip
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_figure_equals_an_independent_computation(found_visits, hours, target, weeks, tier):
    """Whatever was recorded and wherever the rows lie, each figure is what plain Python computes from the facts."""
    clock = SteppedClock(NOW)
    with temporary_service(clock=clock, timezone=ZONE) as service:
        half = len(found_visits) // 2 if tier == "both" else len(found_visits)
        facts = record(service, clock, found_visits[:half])
        if tier != "hot":
            move_to_segments(service)
        late = record(service, clock, found_visits[half:])
        for one in late.stages:
            one.session += half
        facts.stages += late.stages
        facts.ended |= {number + half: at for number, at in late.ended.items()}
        service.flush()
        answers = Answers(service.storage, service.settings, clock)
        document = answers.capacity(hours, target, 0.8, weeks)
        answers.close()
    wanted = expected(facts, hours, target * 60, weeks)
    check(document, wanted, target)


def check(document: dict[str, Any], wanted: dict[str, Any], target: float) -> None:
    for name in ("drafts", "picked_up", "in_time_share"):
        assert same(document[name], wanted[name]), name
    waits, handled = wanted["waits"], wanted["handled"]
    assert same(document["wait_p50_ms"], median(waits) if waits else None)
    assert same(document["wait_p90_ms"], quantile(waits, 0.9) if waits else None)
    assert document["reviews"] == len(handled)
    assert same(document["handling_mean_ms"], fmean(handled) if handled else None)
    assert same(document["handling_p90_ms"], quantile(handled, 0.9) if handled else None)
    assert document["weeks_covered"] == pytest.approx(sum(wanted["covered"].values()) / 168)
    assert document["enough"] is (len(handled) >= LEAST_REVIEWS)
    rows = {one["hour"]: one for one in document["busiest"]}
    for weekday in range(7):
        for hour in range(24):
            covered, arrivals = wanted["covered"][weekday, hour], wanted["arrivals"][weekday, hour]
            rate = arrivals / covered if covered >= 1 else None
            assert same(document["week"]["drafts_per_hour"][weekday][hour], rate)
            needed = None
            if rate is not None and document["enough"]:
                mean = fmean(handled)
                needed = servers_needed(rate * mean / 3_600_000, mean, target * 60_000, 0.8)
            assert document["week"]["needed"][weekday][hour] == needed
            name = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"][weekday]
            row = rows.get(f"{name} {hour:02d}–{(hour + 1) % 24:02d}")
            if row:
                people = len(wanted["present"][weekday, hour]) / covered
                assert same(row["in_time_share"], wanted["by_hour"][weekday, hour])
                assert same(row["present"], people if wanted["present"] else None) or not people


def answer(visits: list[Visit], **options: Any) -> dict[str, Any]:
    clock = SteppedClock(NOW)
    with temporary_service(clock=clock, timezone=ZONE) as service:
        record(service, clock, visits)
        service.flush()
        answers = Answers(service.storage, service.settings, clock)
        document = answers.capacity(**options)
        answers.close()
    return document


def test_a_busy_hour_gets_as_many_moderators_as_the_formula_says():
    """30 drafts in one hour of 10 minutes each are 5 erlangs: the row says so, and how many that needs for the target."""
    hour = [Visit(87_600 + 118 * n, queue_s=700, review_s=600, moderator=1 + n % 2) for n in range(1, 31)]
    document = answer([Visit(3 * 86_400, draft_ok=False, queue_s=None, review_s=None), *hour], hours=48)
    row = document["busiest"][0]
    needed = row["needed"]
    assert (document["peak_hour"], row["hour"], row["drafts_per_hour"]) == ("Monday 11–12", "Monday 11–12", 30)
    assert row["load_erlangs"] == pytest.approx(5)
    assert waits_longer(needed, 5, 600, 600) <= 0.2 < waits_longer(needed - 1, 5, 600, 600)
    assert any(
        f"need {needed} moderators for 30.0 drafts an hour of 10 minutes each" in one for one in document["sentences"]
    )
    assert "0% of the drafts were picked up within 10 minutes; the target is 80%." in document["sentences"]


def test_the_dashboards_section_speaks_for_its_window_and_the_method_for_four_weeks():
    """Both say of which period their hours of the week are; with `weeks=None` the method is the section."""
    clock = SteppedClock(NOW)
    with temporary_service(clock=clock, timezone=ZONE) as service:
        record(service, clock, [Visit(86_400 * days) for days in (1, 3, 10)])
        service.flush()
        answers = Answers(service.storage, service.settings, clock)
        section, month, window = (
            answers.dashboard(48)["capacity"],
            answers.capacity(48),
            answers.capacity(48, weeks=None),
        )
        answers.close()
    assert month["history_until"] - month["history_since"] == timedelta(weeks=4)
    assert window["history_until"] - window["history_since"] == timedelta(hours=48)
    assert (section["reviews"], window["reviews"], month["reviews"]) == (1, 1, 3)
    assert section["sentences"][-1] == "The hours of the week and the handling time are of the last 2 days."
    assert month["sentences"][-1] == "The hours of the week and the handling time are of the last 28 days."


def test_few_reviews_say_nothing_about_people():
    """Below the floor of reviews no number of moderators is given, and the sentence says how many are missing."""
    document = answer([Visit(86_400 + 60 * n) for n in range(LEAST_REVIEWS - 1)], hours=48)
    assert document["enough"] is False
    assert {value for day in document["week"]["needed"] for value in day} == {None}
    assert document["peak_moderators_needed"] is None
    assert any(
        f"{LEAST_REVIEWS - 1} reviews so far, {LEAST_REVIEWS} are needed" in one for one in document["sentences"]
    )


def test_what_waits_now_is_told_first():
    """Drafts of open sessions without a review wait; their ages are those of the queue."""
    waiting = [Visit(before, queue_s=None, review_s=None, is_sent=False, outcome=None) for before in (100, 400, 1_000)]
    document = answer(waiting)
    assert (document["waiting"], document["waiting_p50_ms"], document["waiting_max_ms"]) == (3, 394_000, 994_000)
    assert document["sentences"][0] == "3 drafts wait now, the oldest for 16.6 minutes."
    assert document["in_time_share"] == 0.0  # one is late already, two may still be in time


def test_a_draft_that_is_sent_without_review_never_came_to_moderation():
    """Answers that a bot sends by itself are no work for moderators."""
    assert answer([Visit(600, queue_s=None, review_s=None)])["drafts"] == 0


def test_an_empty_store_gives_the_same_shape():
    """Without rows there are zeros and nulls, and the keys are those of a full document."""
    empty, full = answer([]), answer([Visit(600)])
    assert list(empty) == list(full)
    assert (empty["waiting"], empty["drafts"], empty["in_time_share"], empty["peak_hour"]) == (0, 0, None, None)
    assert {value for grid in empty["week"].values() for day in grid for value in day} == {None}


@pytest.mark.parametrize("options", [
    {"target_wait_minutes": 0}, {"target_wait_minutes": float("nan")}, {"target_share": 1}, {"target_share": 0}, {"target_share": "much"},
    {"weeks": -1}, {"weeks": True},
])  # fmt: skip
def test_options_that_mean_nothing_are_refused(options):
    """The error names the option and its value."""
    (name,) = options
    with pytest.raises(QueryError, match=name):
        answer([], **options)


def test_the_hour_that_the_clocks_skip_is_covered_less_often():
    """Over two weeks with the change to summer time Sunday 2–3 is covered once, the other hours twice."""
    week = hours_covered(datetime(2026, 3, 16), datetime(2026, 3, 30), ZONE)
    assert week[6][2] == pytest.approx(1)
    assert week[6][3] == week[2][14] == pytest.approx(2)
    assert sum(map(sum, week)) == pytest.approx(14 * 24)
