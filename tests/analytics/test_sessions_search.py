"""The search for sessions against an independent search over generated stores, wherever the rows lie."""

import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.desk import desk
from support.tiers import begin, move_to_segments

from otel_metrics import MetricsService
from otel_metrics.errors import QueryError
from otel_metrics.testing import SteppedClock, temporary_service

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMEOUT_H = 24
STAGES = ["query_received", "ai_processing", "admin_review", "own_stage"]


@dataclass(frozen=True)
class Stage:
    name: str
    start_min: int  # minutes before now, as all times here
    took_min: int
    error: str | None

    @property
    def end_min(self) -> int:
        return self.start_min - self.took_min


@dataclass(frozen=True)
class Session:
    user: int
    created_min: int
    stages: tuple[Stage, ...]
    corrections: tuple[tuple[int, str], ...]
    ended: tuple[int, str] | None
    running: bool


stages = st.builds(
    lambda name, start, took, error: Stage(name, start, min(start, took), error),
    st.sampled_from(STAGES), st.integers(0, 4000), st.integers(0, 300), st.sampled_from([None, None, "model timed out", "no Network"]),
)  # fmt: skip
sessions = st.builds(
    Session, st.integers(1, 3), st.integers(0, 4000), st.lists(stages, max_size=4).map(tuple),
    st.lists(st.tuples(st.integers(0, 4000), st.sampled_from(["text_correction", "rejection"])), max_size=2).map(tuple),
    st.none() | st.tuples(st.integers(0, 4000), st.sampled_from(["delivered", "rejected", "failed"])), st.booleans(),
)  # fmt: skip


def at(minutes: int) -> datetime:
    return NOW - timedelta(minutes=minutes)


def record(service: MetricsService, clock: SteppedClock, one: Session) -> str:
    """Records a session; the last stage of one that is running begins at its creation and does not end."""
    clock.set_time(at(one.created_min))
    session = service.create_session(one.user, -one.user)
    for stage in one.stages:
        service.record_stage(
            session, one.user, -one.user, stage.name, start_time=at(stage.start_min), end_time=at(stage.end_min),
            success=stage.error is None, error_message=stage.error,
        )  # fmt: skip
    for minutes, kind in one.corrections:
        clock.set_time(at(minutes))
        service.record_correction(session, 9, "m", kind, "a draft", "another", 10)
    if one.running:
        clock.set_time(at(one.created_min))
        begin(service.timer(session, one.user, -one.user, "admin_review"))
    if one.ended:
        clock.set_time(at(one.ended[0]))
        service.end_session(session, one.ended[1])
    clock.set_time(NOW)
    return session


def facts(one: Session) -> dict[str, Any]:
    """What a session is like, by the definitions. All times are minutes before now: a later one is smaller."""
    running = one.running
    begun = [stage.start_min for stage in one.stages]
    last = min(
        [one.created_min, *(stage.end_min for stage in one.stages), *(minutes for minutes, _ in one.corrections),
         *([one.ended[0]] if one.ended else [])]
    )  # fmt: skip
    start = max([one.created_min, *begun])
    outcome = one.ended[1] if one.ended else "abandoned" if last > TIMEOUT_H * 60 else "open"
    drafts = [stage.end_min for stage in one.stages if stage.name == "ai_processing"]
    waits = (
        one.ended is None and bool(drafts) and min(drafts) < TIMEOUT_H * 60
        and all(minutes > min(drafts) for minutes in begun) and not (running and one.created_min <= min(drafts))
    )  # fmt: skip
    known = bool(one.stages) or one.ended is not None
    return {
        "user": one.user,
        "outcome": outcome,
        "names": {stage.name for stage in one.stages} | ({"admin_review"} if running else set()),
        "errors": [stage.error for stage in one.stages if stage.error],
        "took_ms": start * 60_000 if outcome == "open" else (start - last) * 60_000 if known else None,
        "corrected": any(kind != "rejection" for _, kind in one.corrections),
        "waiting": waits,
        "active_in": lambda since, until: any(
            until <= minutes < since
            for minutes in (one.created_min, *(minutes for minutes, _ in one.corrections), *([one.ended[0]] if one.ended else []))
        ) or any(stage.end_min < since and stage.start_min >= until for stage in one.stages),
    }  # fmt: skip


WISHES: dict[str, Any] = {
    "user": (2, lambda f: f["user"] == 2),
    "chat": (-1, lambda f: f["user"] == 1),
    "outcome": ("open", lambda f: f["outcome"] == "open"),
    "stage": ("admin_review", lambda f: "admin_review" in f["names"]),
    "error": ("NETWORK", lambda f: any("network" in error.lower() for error in f["errors"])),
    "longer_than_ms": (600 * 60_000, lambda f: f["took_ms"] is not None and f["took_ms"] > 600 * 60_000),
    "shorter_than_ms": (900 * 60_000, lambda f: f["took_ms"] is not None and f["took_ms"] < 900 * 60_000),
    "corrected": (True, lambda f: f["corrected"]),
    "waiting": (True, lambda f: f["waiting"]),
}
MORE: dict[str, Any] = {
    "error": (True, lambda f: bool(f["errors"])),
    "corrected": (False, lambda f: not f["corrected"]),
    "outcome": ("abandoned", lambda f: f["outcome"] == "abandoned"),
}


@given(
    st.lists(sessions, max_size=10), st.sampled_from(["hot", "cold", "both"]),
    st.sampled_from([(1440, 0), (3000, 0), (2000, 900)]),
)  # fmt: skip
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_wish_finds_what_an_independent_search_finds(
    found: list[Session], tier: str, between: tuple[int, int]
) -> None:
    """Each wish, alone and with the others, gives just the sessions that are so by their raw facts, in any tier and period."""
    clock = SteppedClock(NOW)
    with (
        tempfile.TemporaryDirectory() as folder,
        temporary_service(Path(folder), clock=clock, session_timeout_hours=TIMEOUT_H) as service,
    ):
        first = len(found) // 2 if tier == "both" else len(found)
        known = {record(service, clock, one): facts(one) for one in found[:first]}
        if tier != "hot":
            move_to_segments(service)
        known |= {record(service, clock, one): facts(one) for one in found[first:]}
        ask = service.answers.sessions
        since, until = between
        period: dict[str, Any] = {"since": at(since), "until": at(until), "limit": 1000}
        active = {one for one, told in known.items() if told["active_in"](since, until)}
        assert {row["session_id"] for row in ask(**period)} == active
        for wish, (value, holds) in [*WISHES.items(), *MORE.items()]:
            expected = {one for one in active if holds(known[one])}
            assert {row["session_id"] for row in ask(**period, **{wish: value})} == expected, (wish, value)
        both = {"stage": "admin_review", "corrected": True}
        expected = {one for one in active if all(WISHES[name][1](known[one]) for name in both)}
        assert {row["session_id"] for row in ask(**period, **both)} == expected
        waiting = {row["session_id"] for row in service.answers.queue()["waiting"]}
        assert waiting == {one for one, told in known.items() if told["waiting"]}
        assert Counter(row["outcome"] or "open" for row in ask(1440, limit=1000)) == Counter(
            told["outcome"] for told in known.values()
        )


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"outcome": "lost"}, "expected one of delivered, rejected, abandoned, failed, open"),
        ({"since": "soon"}, "since='soon' can not be read"),
        ({"until": []}, "can not be read"),
        ({"since": "2026-02-02", "until": "2026-02-01"}, "a beginning before the end"),
        ({"longer_than_ms": -1}, "milliseconds, from 0 on"),
        ({"shorter_than_ms": "1"}, "milliseconds, from 0 on"),
        ({"stage": " "}, "a text that is not empty"),
        ({"error": ""}, "a text that is not empty"),
        ({"corrected": "yes"}, "True, False or None"),
        ({"limit": 0}, "a number from 1 on"),
    ],
    ids=str,
)  # fmt: skip
def test_a_wish_that_nothing_can_meet_is_refused(service: MetricsService, wish: dict[str, Any], said: str) -> None:
    """It is an error that says what was found, what was expected and what to do."""
    with pytest.raises(QueryError, match=said):
        service.answers.sessions(24, **wish)


def test_an_error_is_found_by_its_type(service: MetricsService) -> None:
    """An exception's type finds the sessions in which it was raised, and no part of a type does."""
    session = service.create_session(1, 2)
    with pytest.raises(TimeoutError), service.timer(session, 1, 2, "ai_processing"):
        raise TimeoutError("30 s are over")
    assert [row["session_id"] for row in service.answers.sessions(error="TimeoutError")] == [session]
    assert [row["session_id"] for row in service.answers.sessions(error="are OVER")] == [session]
    assert service.answers.sessions(error="Timeout") == []


def test_a_user_whose_id_is_a_text_is_found_by_it(service: MetricsService) -> None:
    """Ids that are no numbers are kept as numbers; the search takes the text."""
    session = service.create_session("anna@example.org", 2)
    assert [row["session_id"] for row in service.answers.sessions(user="anna@example.org")] == [session]
    assert service.answers.sessions(user="ben@example.org") == []


def test_the_command_searches_by_all_its_options(tmp_path: Path) -> None:
    """Durations are read as people write them, `any` stands for any error, and a wrong word ends with status 2."""
    with temporary_service(tmp_path) as service:
        session = service.create_session(4711, 5)
        end = datetime.now(UTC)
        service.record_stage(
            session, 4711, 5, "ai_processing", start_time=end - timedelta(minutes=11), end_time=end, success=False,
            error_message="the model is busy",
        )  # fmt: skip
        service.end_session(session, "failed")
    base = ("sessions", "--database", tmp_path / "metrics.db", "--format", "json")
    for options in (
        ("--user", "4711"), ("--chat", "5"), ("--outcome", "failed"), ("--stage", "ai_processing"), ("--error", "any"),
        ("--error", "BUSY"), ("--longer", "10m"), ("--shorter", "1h30m"), ("--uncorrected",), ("--since", "2020-01-01"),
    ):  # fmt: skip
        assert session in desk(*base, *options)[1], options
    for options in (
        ("--user", "1"), ("--outcome", "open"), ("--error", "quiet"), ("--longer", "12m"), ("--corrected",), ("--waiting",),
        ("--since", "2020-01-01", "--until", "2020-01-02"),
    ):  # fmt: skip
        assert desk(*base, *options) == (0, "[]"), options
    for options in (("--longer", "10"), ("--longer", "m"), ("--outcome", "x"), ("--since", "x")):
        assert desk(*base, *options)[0] == 2, options
