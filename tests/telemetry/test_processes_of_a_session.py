"""A session in several processes, with only its id handed over."""

from pathlib import Path

import pytest
from support.processes import finish, run, start
from support.stores import only_row, rows

from otel_metrics.model.identity import root_span_id_of, session_start_ns, trace_id_of

USER_BOT = """
    import otel_metrics, sys
    from opentelemetry import trace
    session_id = sys.argv[1] if len(sys.argv) > 1 else otel_metrics.create_session(5, 6, platform="telegram")
    with otel_metrics.timer(session_id, 5, 6, "query_received"):
        pass
    with otel_metrics.timer(session_id, 5, 6, "ai_processing"):
        with trace.get_tracer("model").start_as_current_span("chat gpt-4o"):
            print(session_id, f"{trace.get_current_span().get_span_context().trace_id:032x}")
"""
MODERATOR_BOT = """
    import otel_metrics, sys
    from opentelemetry import trace
    session_id = sys.argv[1]
    otel_metrics.record_stage(session_id, 5, 6, "moderation_queue", start_time=1700000000, end_time=1700000060)
    with otel_metrics.timer(session_id, 5, 6, "admin_review"):
        otel_metrics.record_correction(session_id, 7, "m", "text_correction", "a b", "a c", 1000)
        print(f"{trace.get_current_span().get_span_context().trace_id:032x}")
    otel_metrics.end_session(session_id)
"""


def test_two_processes_make_one_trace_of_one_id(tmp_path: Path) -> None:
    """A second process that is given the session id and nothing else continues the same trace under the same root."""
    session_id, first_trace = run(USER_BOT, tmp_path).split()
    second_trace = run(MODERATOR_BOT, tmp_path, session_id).strip()
    assert first_trace == second_trace == session_id

    database = tmp_path / "metrics.db"
    root_id = f"{root_span_id_of(trace_id_of(session_id)):016x}"
    stages = rows(database, "processing_metrics", "true ORDER BY metric_id")
    assert {row["parent_span_id"] for row in stages} == {root_id}
    assert {row["session_id"] for row in stages} == {session_id}
    assert len({row["process"] for row in stages}) == 2
    assert len({row["span_id"] for row in stages}) == 4

    by_name = {row["name"]: row for row in rows(database, "spans")}
    drafting = next(row for row in stages if row["stage"] == "ai_processing")
    assert by_name["chat gpt-4o"]["parent_span_id"] == drafting["span_id"]
    assert (by_name["session"]["span_id"], by_name["session"]["parent_span_id"]) == (root_id, "")
    session = only_row(database, "sessions")
    assert (session["user_id"], session["metadata"], session["outcome"]) == (5, {"platform": "telegram"}, "delivered")
    assert by_name["session"]["start_time"] == session["started_at"]
    assert session_start_ns(session_id) is not None


@pytest.mark.parametrize("session_id", ["order 17/ü", "9f1c2d3e4b5a4c6d8e7f0a1b2c3d4e5f", "A" * 32])
def test_ids_of_ones_own_work_as_session_ids(tmp_path: Path, session_id: str) -> None:
    """Any string is a session id: every process derives the same trace from it; 32 lower-case hex digits are the trace id."""
    printed, first_trace = run(USER_BOT, tmp_path, session_id).rsplit(maxsplit=1)
    assert printed == session_id
    assert run(MODERATOR_BOT, tmp_path, session_id).strip() == first_trace == f"{trace_id_of(session_id):032x}"
    database = tmp_path / "metrics.db"
    root_id = f"{root_span_id_of(trace_id_of(session_id)):016x}"
    stages = rows(database, "processing_metrics")
    assert {(row["session_id"], row["parent_span_id"]) for row in stages} == {(session_id, root_id)}
    assert {row["name"] for row in rows(database, "spans")} == {"session", "chat gpt-4o"}
    session = only_row(database, "sessions")
    assert (session["session_id"], session["user_id"], session["outcome"]) == (session_id, 5, "delivered")


def test_hashes_of_ids_agree_between_processes(tmp_path: Path) -> None:
    """Processes that start at once share one key, so that an id has one hash in the whole trace."""
    code = """
        import otel_metrics
        with otel_metrics.timer("s", 5, 6, "ai_processing") as stage:
            print(stage.span.attributes["user.hash"])
    """
    hashes = {finish(process) for process in [start(code, tmp_path) for _ in range(4)]}
    assert len(hashes) == 1
    assert run(code, tmp_path, METRICS_ID_KEY="another key of ours") not in hashes
