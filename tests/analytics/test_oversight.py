"""Oversight against an independent reading of the raw facts: decisions, and deliveries beside what was approved."""

import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.theme import Theme
from support.stores import only_row
from support.tiers import move_to_segments

from otel_metrics import MetricsService
from otel_metrics.delivery.cli.questions.oversight import OversightView
from otel_metrics.delivery.cli.streams import STYLES
from otel_metrics.errors import QueryError
from otel_metrics.testing import SteppedClock, temporary_service

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIGURES = {
    "as_approved": "deliveries_as_approved", "differs": "deliveries_differing", "not_known": "deliveries_not_known",
    "after_rejection": "deliveries_after_rejection", "not_reviewed": "deliveries_not_reviewed",
}  # fmt: skip


@dataclass(frozen=True)
class Act:
    kind: str  # draft, review, edit, rejection, delivery
    decision: str | None
    text: str | None


acts = st.builds(
    Act, st.sampled_from(["draft", "review", "edit", "rejection", "delivery", "delivery"]),
    st.sampled_from([None, None, "approved", "edited", "rejected"]), st.sampled_from([None, "one", "two"]),
)  # fmt: skip
STAGE_OF = {"draft": "ai_processing", "review": "admin_review", "delivery": "user_delivery"}


def record(service: MetricsService, clock: SteppedClock, done: list[Act]) -> str:
    """Records acts, each a minute after the one before, and gives the session's id."""
    clock.set_time(NOW - timedelta(minutes=len(done) + 1))
    session = service.create_session(1, 2)
    for act in done:
        clock.advance(60)
        if act.kind in STAGE_OF:
            more = {"decision": act.decision, "admin_user_id": 7} if act.kind == "review" else {}
            with service.timer(session, 1, 2, STAGE_OF[act.kind], **{k: v for k, v in more.items() if v}) as stage:
                stage.text(act.text)
        else:
            kind = "rejection" if act.kind == "rejection" else "text_correction"
            service.record_correction(session, 8, "m", kind, "draft", None if kind == "rejection" else act.text, 10)
    service.end_session(session)
    return session


def judged(done: list[Act]) -> list[str]:
    """How each delivery of a session stands to what was approved before it, act after act."""
    states = []
    for place, delivery in enumerate(done):
        if delivery.kind != "delivery":
            continue
        draft: str | None = None
        edits: list[str | None] = []  # since the draft
        corrected = False  # since the draft
        every: list[tuple[str, str | None, str | None]] = []
        for act in done[:place]:
            if act.kind == "draft":
                draft, edits, corrected = act.text, [], False
            elif act.kind == "review":
                every.append(("review", act.decision, act.text))
            elif act.kind != "delivery":
                corrected = True
                every.append((act.kind, "rejected" if act.kind == "rejection" else "edited", act.text))
                if act.kind == "edit":
                    edits.append(act.text)
        counted = [one for one in every if one[1] is not None or not corrected]
        if not counted:
            states.append("not_reviewed")
            continue
        kind, decision, text = counted[-1]
        approved = text
        if decision == "rejected":
            states.append("after_rejection")
            continue
        if text is None and kind == "review":
            approved = edits[-1] if edits else draft if decision in {None, "approved"} else None
        known = approved is not None and delivery.text is not None
        states.append("not_known" if not known else "as_approved" if approved == delivery.text else "differs")
    return states


def decided(done: list[Act]) -> Counter[tuple[int, str]]:
    """Decisions of a session by moderator and kind."""
    corrected = any(act.kind in {"edit", "rejection"} for act in done)
    made: Counter[tuple[int, str]] = Counter()
    for act in done:
        if act.kind == "review" and (act.decision == "approved" or not corrected):
            made[7, act.decision or "approved"] += 1
        elif act.kind in {"edit", "rejection"}:
            made[8, "edited" if act.kind == "edit" else "rejected"] += 1
    return made


@given(st.lists(st.lists(acts, max_size=7), max_size=6), st.sampled_from(["hot", "cold", "both"]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_decisions_and_deliveries_equal_an_independent_reading(found: list[list[Act]], tier: str) -> None:
    """Whatever happened in whatever order, each delivery is judged as by hand, and each decision is somebody's."""
    clock = SteppedClock(NOW)
    with tempfile.TemporaryDirectory() as folder, temporary_service(Path(folder), clock=clock) as service:
        first = len(found) // 2 if tier == "both" else len(found)
        sessions = [record(service, clock, one) for one in found[:first]]
        if tier != "hot":
            move_to_segments(service)
        sessions += [record(service, clock, one) for one in found[first:]]
        clock.set_time(NOW)
        document = service.answers.oversight(24, limit=None)
    states = Counter(state for one in found for state in judged(one))
    assert {state: document[figure] for state, figure in FIGURES.items()} == {one: states[one] for one in FIGURES}
    assert document["deliveries"] == states.total()
    made: Counter[tuple[int, str]] = Counter()
    for one in found:
        made += decided(one)
    told = {row["moderator_id"]: row for row in document["by_moderator"]}
    assert set(told) == {who for who, _ in made} | ({None} if None in told else set())
    kinds = ("approved", "edited", "rejected")
    assert {kind: document[kind] for kind in kinds} == {
        kind: sum(count for (_, made_kind), count in made.items() if made_kind == kind) for kind in kinds
    }
    assert document["decisions_made"] == made.total() == len(document["decisions"])
    for session, one in zip(sessions, found, strict=True):
        for state, name in (
            ("differs", "differing"),
            ("after_rejection", "after_rejection"),
            ("not_reviewed", "not_reviewed"),
        ):
            assert sum(row["session_id"] == session for row in document[name]) == judged(one).count(state)


def test_a_delivery_of_another_text_is_listed_with_its_hashes(service: MetricsService, clock: SteppedClock) -> None:
    """Who approved it is told, with the hashes of draft, approved and delivered text, and a sentence says to look."""
    session = record(
        service, clock, [Act("draft", None, "one"), Act("review", "approved", None), Act("delivery", None, "two")]
    )
    document = service.answers.oversight(24, since=NOW - timedelta(days=1), until=NOW)
    (row,) = document["differing"]
    one, two = (only_row(service, "processing_metrics", "stage = ?", name)["metadata"]["text_hash"] for name in ("ai_processing", "user_delivery"))  # fmt: skip
    assert (row["session_id"], row["moderator_id"], row["decision"]) == (session, 7, "approved")
    assert (row["draft_hash"], row["approved_hash"], row["delivered_hash"]) == (one, one, two)
    assert any("are not the text that was approved" in sentence for sentence in document["sentences"])
    (decision,) = document["decisions"]
    assert (decision["approved_hash"], decision["delivered_hash"]) == (one, two)


def test_an_empty_store_has_the_same_shape(service: MetricsService) -> None:
    """Zeros and empty lists, and a sentence that says that there was nothing."""
    document = service.answers.oversight()
    assert {name: value for name, value in document.items() if isinstance(value, int) and value} == {}
    assert all(
        document[name] == [] for name in ("by_moderator", "differing", "after_rejection", "not_reviewed", "decisions")
    )
    assert document["sentences"] == ["Nothing was decided and nothing was delivered in this time."]


@pytest.mark.parametrize("limit", [0, -1, True, "5"])
def test_a_limit_is_a_number_from_one_on(service: MetricsService, limit: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(QueryError, match="a number from 1 on"):
        service.answers.oversight(limit=limit)


def test_the_newest_decisions_are_listed_up_to_the_limit(service: MetricsService, clock: SteppedClock) -> None:
    """The count is of all of them, and without a limit all are listed."""
    for _ in range(3):
        record(service, clock, [Act("draft", None, "one"), Act("review", "approved", "one")])
    clock.set_time(NOW)
    document = service.answers.oversight(limit=2)
    assert (document["approved"], len(document["decisions"])) == (3, 2)
    assert len(service.answers.oversight(limit=None)["decisions"]) == 3


def test_one_decision_is_decided_once(service: MetricsService, clock: SteppedClock) -> None:
    """The sentence counts as people do, and the terminal says below the lists what the digits of the hashes tell."""
    record(service, clock, [Act("draft", None, "one"), Act("review", "approved", "one")])
    clock.set_time(NOW)
    document = service.answers.oversight()
    assert document["sentences"][0] == "Moderators decided once: 1 approved, 0 edited, 0 rejected."
    assert "the first 4 digits of a keyed hash" in printed(document)
    assert "keyed hash" not in printed({**document, "decisions": [], "not_reviewed": []})


def printed(document: dict[str, Any]) -> str:
    """The document as the command shows it."""
    console = Console(width=160, theme=Theme(STYLES))
    with console.capture() as capture:
        console.print(OversightView(document, "UTC"))
    return capture.get()


DRAFT, SENT_ONE, SENT_TWO = Act("draft", None, "one"), Act("delivery", None, "one"), Act("delivery", None, "two")
CASES = [
    ([DRAFT, Act("review", None, None), SENT_ONE], "as_approved"),
    ([DRAFT, Act("review", None, "two"), SENT_ONE], "differs"),
    ([DRAFT, Act("review", "edited", None), SENT_ONE], "not_known"),
    ([DRAFT, Act("edit", None, "two"), Act("review", "edited", None), SENT_TWO], "as_approved"),
    ([DRAFT, Act("edit", None, "two"), SENT_ONE], "differs"),
    ([DRAFT, Act("rejection", None, None), SENT_ONE], "after_rejection"),
    ([DRAFT, Act("rejection", None, None), DRAFT, Act("review", None, None), SENT_ONE], "as_approved"),
    ([DRAFT, SENT_ONE, Act("review", "approved", "one")], "not_reviewed"),
]


@pytest.mark.parametrize(("done", "state"), CASES)
def test_the_usual_ways_to_a_delivery(
    service: MetricsService, clock: SteppedClock, done: list[Act], state: str
) -> None:
    """Each is judged as a person would."""
    record(service, clock, done)
    clock.set_time(NOW)
    document = service.answers.oversight()
    assert {one: document[figure] for one, figure in FIGURES.items()} == {one: int(one == state) for one in FIGURES}
