"""A clock that jumps under a bot which records, drains and answers: durations stay right, and every record is there."""

import json
import re
import sqlite3
import time
from collections import Counter
from contextlib import closing
from datetime import datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from support.cli import real
from support.faults import Faults, faults_in, needs_faults
from support.nursery import Nursery
from support.stores import layout_in

import otel_metrics

pytestmark = needs_faults

HOUR_S, YEAR_S, END_OF_32_BITS_S = 3600, 365 * 86_400, 2_147_483_648
STATES = ("now", "an hour ago", "in ten years", "1970", "2038")
JUMPS = list(permutations(STATES, 2))
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
TIMES = {
    "processing_metrics": ("start_time", "end_time"), "spans": ("start_time", "end_time"), "logs": ("timestamp",),
    "correction_metrics": ("timestamp",), "system_metrics": ("timestamp",), "sessions": ("started_at", "ended_at"),
    "processes": ("started_at",),
}  # fmt: skip
Json = dict[str, Any]


def set_clock(faults: Faults, state: str) -> None:
    """Sets the time of day; 2038 is a moment before the seconds outgrow 32 bits, so that they do it under way."""
    faults.clock_offset_s = 0.0
    now_s = time.time()
    offsets_s = {
        "an hour ago": -HOUR_S,
        "in ten years": 10 * YEAR_S,
        "1970": 1 - now_s,
        "2038": END_OF_32_BITS_S - 0.001 - now_s,
    }
    faults.clock_offset_s = offsets_s.get(state, 0.0)


# --- in the bot ----------------------------------------------------------------------------------------------------


def bot_through_jumps(name: str, first: int, notes_file: str) -> None:
    """Makes one session for each jump, which comes in the middle of it, and asks everything after it."""
    from opentelemetry import trace

    from otel_metrics.analytics.answers import Answers

    faults, service = Faults.of_this_process(), otel_metrics.configure(drain_interval_s=0.02)
    answers, tracer = Answers(service.storage, service.settings), trace.get_tracer("a library")
    notes = []
    for number, (before, after) in enumerate(JUMPS, first):
        set_clock(faults, before)
        session_id = otel_metrics.create_session(1, 2, number=number)
        queued_s = time.time()
        outer = time.perf_counter_ns()
        with otel_metrics.timer(session_id, 1, 2, "ai_processing", number=number):
            inner = time.perf_counter_ns()
            with tracer.start_as_current_span("model call"):
                set_clock(faults, after)
                ticks = 0
                while ticks == 0 or time.perf_counter_ns() < inner + 2_000_000:
                    otel_metrics.get_logger().info("tick", number=number)
                    ticks += 1
            inner = time.perf_counter_ns() - inner
        outer = time.perf_counter_ns() - outer
        otel_metrics.record_stage(session_id, 1, 2, "moderation_queue", start_time=queued_s, number=number)
        otel_metrics.record_correction(session_id, 7, "m", "text_correction", "a b", "a c", 5, number=number)
        otel_metrics.record_system_metric("number", number)
        otel_metrics.end_session(session_id)
        notes.append({"session": session_id, "inner": inner, "outer": outer, "ticks": ticks})
        ask(service, answers, session_id)
    set_clock(faults, "now")
    losses = service.losses.snapshot()
    Path(notes_file).write_text(json.dumps({"sessions": notes, "losses": losses}), encoding="utf-8")


def bot_with_a_library(name: str) -> None:
    """Records a stage with a span of a library in it, while the clock goes back by an hour."""
    from opentelemetry import trace

    faults, service = Faults.of_this_process(), otel_metrics.configure()
    with (
        otel_metrics.timer("a session", 1, 2, "ai_processing"),
        trace.get_tracer("a library").start_as_current_span("model call"),
    ):
        set_clock(faults, "an hour ago")
    service.flush()


def ask(service: otel_metrics.MetricsService, answers: Any, session_id: str) -> None:
    """Asks all that there is to ask; what was just recorded must be in the answer, whatever the time is."""
    service.get_dashboard_data()
    service.get_alerts()
    answers.sessions(24, 10)
    answers.queue()
    assert answers.session(session_id)["session"]["session_id"] == session_id
    (row,) = service.sql(f"SELECT count(*) AS stages FROM processing_metrics WHERE session_id = '{session_id}'")
    assert row["stages"] == 2, row


# --- the tests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [1, pytest.param(50, marks=pytest.mark.long)])
def test_clock_that_jumps_under_a_bot(tmp_path: Path, rounds: int) -> None:
    """The clock jumps from any of five times to any other in the middle of a session: stages take as long as they took, no span less than nothing, all records are there once, and questions are answered."""
    faults, notes_file = faults_in(tmp_path), tmp_path / "notes"
    sessions: list[Json] = []
    with Nursery(tmp_path, __file__, METRICS_LOG_MAX_BYTES="20000", **faults.variables) as nursery:
        for number in range(rounds):
            pid = nursery.start("bot_through_jumps", number * len(JUMPS), str(notes_file))
            assert nursery.wait(pid).status == 0, nursery._complaint()
            notes = json.loads(notes_file.read_text())
            assert notes["losses"] == {}
            sessions += notes["sessions"]
    with closing(sqlite3.connect(layout_in(tmp_path).database)) as connection:
        connection.row_factory = sqlite3.Row
        found = {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in (*TIMES, "running")
        }
    check_counts(found, sessions)
    check_durations(found, sessions)
    check_times(found)
    ask_at_a_desk(tmp_path, faults)
    counts = {table: len(rows) for table, rows in found.items()}
    print(f"{rounds} rounds, {len(sessions)} jumps, rows stored {counts}, none dropped")


def check_counts(found: dict[str, list[Json]], sessions: list[Json]) -> None:
    """Every record of every session is there once."""
    once = Counter(one["session"] for one in sessions)
    for stage in ("ai_processing", "moderation_queue"):
        assert Counter(row["session_id"] for row in found["processing_metrics"] if row["stage"] == stage) == once
    for name in ("model call", "session"):
        assert Counter(row["session_id"] for row in found["spans"] if row["name"].endswith(name)) == once
    for table in ("correction_metrics", "sessions"):
        assert Counter(row["session_id"] for row in found[table]) == once
    assert Counter(int(row["value"]) for row in found["system_metrics"]) == Counter(range(len(sessions)))
    assert Counter(row["session_id"] for row in found["logs"]) == Counter(
        {one["session"]: one["ticks"] for one in sessions}
    )
    assert found["running"] == []


def check_durations(found: dict[str, list[Json]], sessions: list[Json]) -> None:
    """A stage took what the monotonic clock says, and nothing took less than nothing."""
    took = {
        row["session_id"]: row["duration_ms"] for row in found["processing_metrics"] if row["stage"] == "ai_processing"
    }
    for one in sessions:
        least, most = ((one[name] + 500_000) // 1_000_000 for name in ("inner", "outer"))
        assert least <= took[one["session"]] <= most, one
    own = [row for row in found["spans"] if row["scope"] != "a library"]  # those have a test of their own
    for row in (*found["processing_metrics"], *own):
        assert row["duration_ms"] >= 0, row
        assert row["start_time"] <= row["end_time"], row


def check_times(found: dict[str, list[Json]]) -> None:
    """Every time can be read, and all the years are there; ids are what they always are."""
    years = set()
    for table, columns in TIMES.items():
        for row in found[table]:
            for column in columns:
                assert TIME.fullmatch(row[column]), (table, column, row)
                years.add(datetime.fromisoformat(row[column]).year)
    assert {1970, 2038, datetime.now().year} <= years, years
    assert all(re.fullmatch("[0-9a-f]{30}", row["metric_id"]) for row in found["processing_metrics"])
    assert all(re.fullmatch("[0-9a-f]{32}", row["session_id"]) for row in found["sessions"])


def ask_at_a_desk(folder: Path, faults: Faults) -> None:
    """Asks by the command line, under every clock; what is of another time is not of the last 24 hours."""
    counts = {}
    for state in STATES:
        set_clock(faults, state)
        done = real("sessions", "--format", "json", "--limit", 10_000, folder=folder, **faults.variables)
        assert (done.returncode, done.stderr) == (0, "")
        counts[state] = len(json.loads(done.stdout))
    print(f"sessions of the last 24 hours: {counts}")
    assert all(counts.values()), counts


def test_span_of_a_library_over_a_jump(tmp_path: Path) -> None:
    """A span of another library, open while the clock goes back, took nothing and not less."""
    faults = faults_in(tmp_path)
    with Nursery(tmp_path, __file__, **faults.variables) as nursery:
        assert nursery.wait(nursery.start("bot_with_a_library")).status == 0, nursery._complaint()
    with closing(sqlite3.connect(layout_in(tmp_path).database)) as connection:
        found = connection.execute("SELECT start_time, end_time, duration_ms FROM spans").fetchall()
    print(f"1 span, {found}")
    assert len(found) == 1
    assert found[0][2] == 0
    assert found[0][0] <= found[0][1]
