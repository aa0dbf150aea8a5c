"""Sessions: their ids, their ends, what is kept of them."""

from pathlib import Path

import pytest
from support.processes import finish, run, start
from support.stores import lines, only_row, rows

from otel_metrics import MetricsService, SessionOutcome
from otel_metrics.model.identity import root_span_id_of
from otel_metrics.testing import SteppedClock

END = "import sys, otel_metrics; otel_metrics.end_session(sys.argv[1], sys.argv[2])"


def test_session_id_is_a_trace_id_that_begins_with_the_time(service: MetricsService, clock: SteppedClock) -> None:
    """A session's id is 32 lower-case hex digits, the first eight of them the epoch seconds."""
    session_id = service.create_session(1, 2)
    assert len(session_id) == 32
    assert session_id == session_id.lower()
    assert int(session_id[:8], 16) == clock.time_ns() // 10**9
    assert service.create_session(1, 2) != session_id


def test_created_session_is_kept_with_its_facts(service: MetricsService) -> None:
    """A created session has a row with user, chat, start and metadata, and is open."""
    session_id = service.create_session(12345, -100777, platform="telegram", tags=["a", "b"])
    session = only_row(service, "sessions")
    del session["seq"]
    assert session == {
        "session_id": session_id, "user_id": 12345, "chat_id": -100777, "started_at": "2026-01-01T12:00:00.000000Z",
        "ended_at": None, "outcome": None, "metadata": {"platform": "telegram", "tags": ["a", "b"]},
    }  # fmt: skip


@pytest.mark.parametrize("outcome", list(SessionOutcome))
def test_session_ends_with_each_outcome(service: MetricsService, clock: SteppedClock, outcome: SessionOutcome) -> None:
    """Ending a session keeps when and how it ended, and makes its root span from start to end."""
    session_id = service.create_session(1, 2, platform="telegram")
    clock.advance(90)
    service.end_session(session_id, outcome)
    session = only_row(service, "sessions")
    assert (session["outcome"], session["ended_at"]) == (outcome, "2026-01-01T12:01:30.000000Z")
    root = only_row(service, "spans")
    assert root["name"] == "session"
    assert root["span_id"] == f"{root_span_id_of(int(session_id, 16)):016x}"
    assert root["parent_span_id"] == ""
    assert (root["start_time"], root["end_time"], root["duration_ms"]) == (
        "2026-01-01T12:00:00.000000Z", "2026-01-01T12:01:30.000000Z", 90_000,
    )  # fmt: skip
    assert root["success"] == (outcome != "failed")


def test_outcome_may_be_left_out_or_be_a_text(service: MetricsService) -> None:
    """Without an outcome a session is delivered; an outcome may be its plain text."""
    first, second = service.create_session(1, 2), service.create_session(1, 2)
    service.end_session(first)
    service.end_session(second, "rejected")
    assert {row["session_id"]: row["outcome"] for row in rows(service, "sessions")} == {
        first: "delivered",
        second: "rejected",
    }


def test_second_end_in_one_process_changes_nothing(service: MetricsService, clock: SteppedClock) -> None:
    """Ending a session twice keeps the first end and writes one line."""
    session_id = service.create_session(1, 2)
    service.end_session(session_id, "delivered")
    clock.advance(60)
    service.end_session(session_id, "failed")
    assert len(lines(service, "end")) == 1
    assert only_row(service, "sessions")["outcome"] == "delivered"


def test_first_of_two_processes_ends_a_session(service: MetricsService, tmp_path: Path) -> None:
    """When two processes end a session, the first end in the log counts and there is one root span."""
    session_id = service.create_session(1, 2)
    run(END, tmp_path, session_id, "rejected")
    run(END, tmp_path, session_id, "delivered")
    service.end_session(session_id, "failed")
    session = only_row(service, "sessions")
    assert (session["outcome"], session["user_id"]) == ("rejected", 1)
    assert len(lines(service, "end")) == 3
    assert only_row(service, "spans")["name"] == "session"


def test_processes_that_end_a_session_at_once_agree(service: MetricsService, tmp_path: Path) -> None:
    """Ends at the same time from four processes leave one outcome and one root span."""
    session_id = service.create_session(1, 2)
    wait = "import sys, otel_metrics; otel_metrics.get_metrics_service(); print('ready', flush=True); input();"
    ending = [start(f"{wait}\n{END}", tmp_path, session_id, outcome) for outcome in ("delivered", "failed") * 2]
    for process in ending:
        assert process.stdout is not None
        process.stdout.readline()
    for process in ending:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in ending:
        finish(process)
    assert only_row(service, "sessions")["outcome"] == lines(service, "end")[0]["outcome"]
    assert len(rows(service, "spans")) == 1


def test_unknown_outcome_is_kept_as_failed(lenient: MetricsService) -> None:
    """An outcome that is not known warns with the known ones, ends the session as failed and keeps what was given."""
    session_id = lenient.create_session(1, 2)
    with pytest.warns(RuntimeWarning, match="delivered, rejected, abandoned, failed"):
        lenient.end_session(session_id, "vanished")
    assert only_row(lenient, "sessions")["outcome"] == "failed"
    assert lines(lenient, "end")[0]["metadata"]["outcome"] == "vanished"
    assert lenient.losses.snapshot() == {"input_outcome": 1}


def test_session_of_a_foreign_id_has_the_facts_of_its_stages(service: MetricsService, clock: SteppedClock) -> None:
    """A session that nobody created gets its row from its stages, also when it ends in the same breath."""
    with service.timer("order 17", 5, 6, "query_received"):
        clock.advance(3)
    service.end_session("order 17")
    session = only_row(service, "sessions")
    assert (session["user_id"], session["chat_id"], session["outcome"]) == (5, 6, "delivered")
    assert session["started_at"] == "2026-01-01T12:00:00.000000Z"
