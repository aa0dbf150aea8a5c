"""Rows on their way into segments: none is lost, doubled or changed, and questions see no difference."""

import os
import sqlite3
import string
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.people import make_people
from support.processes import finish, start
from support.stores import SEED_TABLES, count, rows
from support.tiers import hot_counts, move, move_to_segments, segment_files, storage_in, views_of

from otel_metrics import MetricsService
from otel_metrics.analytics.compaction import Compaction, compact
from otel_metrics.analytics.engine import Engine
from otel_metrics.model.records import ProcessingMetric, SessionEnd, encode_line
from otel_metrics.model.times import iso
from otel_metrics.store import archive
from otel_metrics.store.journal import Journal
from otel_metrics.store.outbox import Outbox
from otel_metrics.store.segments import listed
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.testing import SteppedClock

DAY_S = 86_400
MOVED = ("correction_metrics", "logs", "processing_metrics", "sessions", "spans", "system_metrics")
HOSTILE = [
    "", " ", "'; DROP TABLE x; --", "a\nb\r\tc", '{"a": [1, null]}', "[", "null", "\\u0000", "\u202eevil", "日本語 👨‍👩‍👧", "x" * 5000,
    "NaN", "2026-01-01", "0x10", "%s %d", "\x7f\x01", "true", "\ufffe",
]  # fmt: skip
SPAN_IDS = [
    "0123456789abcdef",
    "0000000000000000",
    "ffffffffffffffff",
    "ABCDEF0123456789",
    "123",
    "",
    "not hex at all!!",
    "0x12345678901234",
]


def journal_of(storage: MetricsStorage) -> Journal:
    return Journal(storage.layout, max_bytes=10**9)


def stage_line(
    number: int, session: str, *, start_us: int, end_us: int, text: str, big: int, span_id: str, **more: Any
) -> bytes:
    return encode_line(
        ProcessingMetric(
            more.pop("metric_id", f"m{number}"), iso(end_us * 1000), "metric", "stage_completed", "", session, big, -big, "ai_processing",
            iso(start_us * 1000), iso(end_us * 1000), (end_us - start_us) // 1000, number % 2 == 0,
            {"model": text, "cost": big / 7, "tokens": big, "intent": [text], text: big}, span_id, "", 1, error_message=text, **more,
        )
    )  # fmt: skip


def play(service: MetricsService, *, ends: bool = True, **metadata: Any) -> str:
    session = service.create_session(1, 2, **metadata)
    with service.timer(session, 1, 2, "ai_processing", **metadata):
        service.get_logger().info("drafted", "a draft")
    service.record_correction(session, 9, "m", "text_correction", "a b c", "a b d", 10)
    service.record_system_metric("depth", 3.25, {"a": 1})
    if ends:
        service.end_session(session)
    return session


# --- the rows are the same -----------------------------------------------------------------------------------------


def test_people_of_every_kind_are_the_same_in_segments(tmp_path: Path) -> None:
    """A store with everything in it that a bot can record answers the same from segments as from its tables, in every column of every view."""
    make_people(tmp_path)
    storage = storage_in(tmp_path)
    before = views_of(storage)
    assert min(map(len, (before[name] for name in before if name != "running"))) > 0
    done = move(storage)
    assert sum(done.rows.values()) > 150
    assert views_of(storage) == before
    assert {name: n for name, n in hot_counts(storage).items() if name in {"system_metrics", "correction_metrics"}} == {
        "system_metrics": 0, "correction_metrics": 0
    }  # fmt: skip


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stages=st.lists(
        st.fixed_dictionaries(
            {
                "session": st.integers(0, 3),
                "start_us": st.integers(0, 4 * 10**15),
                "duration_us": st.integers(0, 3 * 10**11),
                "text": st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]))),
                "big": st.one_of(st.integers(-(2**63), 2**63 - 1).filter(lambda n: n != -(2**63)), st.integers(-5, 5)),
                "span_id": st.one_of(st.sampled_from(SPAN_IDS), st.text(string.hexdigits.lower(), min_size=16, max_size=16)),
                "packed": st.booleans(),
            }
        ),
        min_size=1,
        max_size=12,
    ),
    open_session=st.integers(0, 4),
    late=st.integers(0, 3),
)  # fmt: skip
def test_any_rows_are_the_same_in_segments(
    tmp_path_factory: pytest.TempPathFactory, stages: list[dict[str, Any]], open_session: int, late: int
) -> None:
    """Whatever texts, numbers, span ids and moments: moved once, moved in two parts, merged, every value is what it was."""
    storage = storage_in(tmp_path_factory.mktemp("store"))
    lines = []
    for number, one in enumerate(stages):
        key = {"metric_id": f"{one['start_us']:014x}{one['span_id']}"} if one["packed"] else {}
        lines.append(
            stage_line(
                number, f"s{one['session']}", start_us=one["start_us"], end_us=one["start_us"] + one["duration_us"],
                text=one["text"], big=one["big"], span_id=one["span_id"], **key,
            )
        )  # fmt: skip
    ends = [
        encode_line(
            SessionEnd(
                f"r{n}", iso(n * 10**15), "metric", "e", "", f"s{n}", "chat", "internal", iso(0), iso(n * 10**15), 1, True,
                "otel_metrics", f"{n:016x}", "", 1, outcome="delivered",
            )
        )
        for n in range(4) if n != open_session
    ]  # fmt: skip
    journal = journal_of(storage)
    for line in [*lines[late:], *ends]:
        journal.append(line)
    storage.drain()
    before = views_of(storage)
    assert sum(before["processing_metrics"].values()) == count(storage.layout.database, "processing_metrics")
    move(storage)
    assert views_of(storage) == before
    for line in lines[:late]:
        journal.append(line)
    journal.close()
    storage.drain()
    before = views_of(storage)
    move(storage)
    assert views_of(storage) == before


def test_adopted_rows_of_the_seed_are_the_same_in_segments(tmp_path: Path) -> None:
    """Rows that came from `services.metrics_service`, with what it left out, move like all others; those that never ended stay."""
    with closing(sqlite3.connect(tmp_path / "metrics.db")) as connection, connection:
        connection.executescript(SEED_TABLES)
        for number, end in enumerate(["2026-01-01T10:00:00", "2026-01-02T10:00:00.000001+03:00", None]):
            connection.execute(
                "INSERT INTO processing_metrics VALUES (?, ?, 1, 2, 'ai_processing', '2026-01-01T09:00:00', ?, NULL, NULL, NULL, NULL)",
                (f"m{number}", f"s{number}", end),
            )
        connection.execute("INSERT INTO correction_metrics (correction_id, session_id, admin_user_id, message_id, correction_type, timestamp) "
                           "VALUES ('c', 's1', 7, 'm', 'rejection', '2026-01-01T09:00:00')")  # fmt: skip
        connection.execute(
            "INSERT INTO system_metrics (timestamp, metric_type, value) VALUES ('2026-01-01T09:00:00', 'cpu', '3')"
        )
    storage = storage_in(tmp_path)
    storage.drain()
    before = views_of(storage)
    done = move(storage)
    assert views_of(storage) == before
    assert (done.rows["processing_metrics"], hot_counts(storage)["processing_metrics"]) == (2, 1)


def test_rows_move_in_steps_too(service: MetricsService, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A move in many small steps loses nothing, passes by the open sessions of the beginning, and knows of each session which end counts."""
    for number in range(60):
        play(service, ends=number >= 20, number=number)
    service.flush()
    before = views_of(service.storage)
    monkeypatch.setattr("otel_metrics.analytics.compaction._STEP_ROWS", 7)
    done = move_to_segments(service, clock.time_ns())
    assert views_of(service.storage) == before
    assert (done.rows["sessions"], done.rows["processing_metrics"]) == (40, 40)
    with service.storage.reading() as connection:
        ends = connection.execute("SELECT session, first_end FROM archived_sessions").fetchall()
        digests = {
            archive.key_of(row["session_id"]): archive.digest_of(row["process"], row["end_time"])
            for row in _cold(service, "spans") if row["parent_span_id"] == "" and row["scope"] == "otel_metrics"
        }  # fmt: skip
    assert len(ends) == 40
    assert dict(ends) == digests


def _cold(service: MetricsService, table: str) -> list[dict[str, Any]]:
    return service.sql(f"SELECT * REPLACE (strftime(end_time, '%Y-%m-%dT%H:%M:%S.%fZ') AS end_time) FROM {table}")


# --- open, late, ended twice ---------------------------------------------------------------------------------------


def test_open_sessions_stay_in_the_tables_with_their_rows(service: MetricsService, clock: SteppedClock) -> None:
    """Somebody may be waiting for an open session: it and its stages, corrections and log lines move only when it has ended, or has rested for the timeout."""
    ended, open_one = play(service), play(service, ends=False)
    move_to_segments(service, clock.time_ns())
    for table in ("sessions", "processing_metrics", "correction_metrics", "logs"):
        assert {row["session_id"] for row in rows(service, table)} == {open_one}
    assert service.sql("SELECT count(*) AS n FROM sessions")[0]["n"] == 2
    clock.advance(73 * 3600)
    assert move_to_segments(service, clock.time_ns()).rows["processing_metrics"] == 1
    assert count(service, "sessions") == 1
    service.end_session(open_one)
    assert move_to_segments(service, clock.time_ns()).rows["sessions"] == 1
    assert {row["session_id"] for row in service.sql("FROM sessions")} == {ended, open_one}


def test_late_rows_of_a_moved_session_count_once(service: MetricsService) -> None:
    """What comes of a session that has moved stays in the tables until the next time; its session does not begin again."""
    session = play(service)
    move_to_segments(service)
    service.record_stage(
        session, 1, 2, "user_delivery", start_time=service_time(service), end_time=service_time(service)
    )
    service.flush()
    assert count(service, "processing_metrics") == 1
    assert count(service, "sessions") == 0
    assert service.sql("SELECT count(*) AS n, count(DISTINCT metric_id) AS m FROM processing_metrics") == [
        {"n": 2, "m": 2}
    ]
    assert service.get_dashboard_data(hours=10**5)["overview"]["total_requests"] == 1
    before = views_of(service.storage)
    move_to_segments(service)
    assert count(service, "processing_metrics") == 0
    assert views_of(service.storage) == before


def service_time(service: MetricsService) -> str:
    return (
        service.sql("SELECT max(end_time) + INTERVAL 1 SECOND AS t FROM processing_metrics")[0]["t"].isoformat() + "Z"
    )


END_AGAIN = """
    import os, sys, otel_metrics
    otel_metrics.end_session(sys.argv[1], "abandoned")
    os._exit(0)
"""
NOBODY = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1", "OTEL_METRICS_EXPORTER": "none"}
PLAY = """
    import os, otel_metrics
    session = otel_metrics.create_session(1, 2)
    with otel_metrics.timer(session, 1, 2, "ai_processing"):
        pass
    otel_metrics.end_session(session)
    print(session, flush=True)
    os._exit(0)
"""


@pytest.mark.parametrize("moves_between", [False, True])
def test_second_end_of_a_moved_session_changes_nothing(tmp_path: Path, moves_between: bool) -> None:
    """Another process that ends a session again makes no row and sends no second root span, whether the session has moved or not."""
    session = finish(start(PLAY, tmp_path, **NOBODY)).strip()
    storage = storage_in(tmp_path)
    storage.drain(10)
    if moves_between:
        move(storage)
    before = views_of(storage)
    finish(start(END_AGAIN, tmp_path, session, **NOBODY))
    storage.drain(10)
    after = views_of(storage)
    for name in ("sessions", "spans", "processing_metrics"):
        assert after[name] == before[name]
    with Outbox(storage.layout).taking() as taking:
        assert taking is not None
        taking.cursor.positions.clear()  # as if nothing had been sent
        ends = [record for record, _ in taking.next(1000).records if isinstance(record, SessionEnd)]
    assert [(one.session_id, one.outcome) for one in ends] == [(session, "delivered")]


# --- readers, merges, retention, rights ----------------------------------------------------------------------------

COMPACT = """
    from support.tiers import move, storage_in
    import sys
    from pathlib import Path
    print(move(storage_in(Path(sys.argv[1]))).merged)
"""


def compact_elsewhere(folder: Path) -> int:
    return int(finish(start(COMPACT, folder, str(folder), PYTHONPATH=_path_with_tests())))


def _path_with_tests() -> str:
    return os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])


def test_reader_that_lives_long_follows_moves_and_merges_by_others(
    tmp_path: Path, service: MetricsService, clock: SteppedClock
) -> None:
    """A process that keeps its answers in memory sees each row once, while another one moves and merges."""
    engine = Engine(service.storage)
    expected = 0
    for merged in (0, 6, 6):
        for _ in range(5):
            play(service)
            expected += 1
        service.flush()
        engine.refresh()
        assert engine.run("SELECT count(*), count(DISTINCT metric_id) FROM processing_metrics").rows == [
            (expected, expected)
        ]
        # 2026-01-01 is over for the other process: its clock is the real one.
        assert bool(compact_elsewhere(tmp_path)) == bool(merged)
        engine.refresh()
        assert engine.run("SELECT count(*), count(DISTINCT metric_id) FROM processing_metrics").rows == [
            (expected, expected)
        ]
        assert engine.run("SELECT count(*) FROM hot.processing_metrics").rows == [(0,)]
    engine.close()


def test_many_small_segments_of_a_day_become_one(service: MetricsService) -> None:
    """A day that is over has one segment of each table; the files that it replaced go when nobody can be reading them any more."""
    for _ in range(3):
        play(service)
        move_to_segments(service)
    with service.storage.reading() as connection:
        found = listed(connection)
        retired = connection.execute("SELECT count(*) FROM retired_segments").fetchone()[0]
    assert sorted(one.table for one in found) == sorted(MOVED)
    assert {one.table: one.rows for one in found} == dict.fromkeys(MOVED, 3) | {"spans": 6}
    assert retired == 4 * 6
    assert len(segment_files(service.storage)) == len(found) + retired
    with service.storage.alone(1.0) as connection:
        assert connection is not None
        work = Compaction(connection, service.storage.layout, now_ns=10**18 * 9, timeout_hours=72.0)
        work.run()
    assert len(segment_files(service.storage)) == len(found)
    assert service.sql("SELECT count(*) AS n FROM sessions")[0]["n"] == 3


def test_retention_drops_whole_segments_and_what_is_known_of_their_sessions(
    service: MetricsService, clock: SteppedClock
) -> None:
    """A segment goes when its last row is too old, with the memory of its sessions; a younger one stays whole."""
    for _ in range(3):
        play(service)
        clock.advance(DAY_S)
    move_to_segments(service)
    before = views_of(service.storage)
    object.__setattr__(service.settings, "retention_days", 1.5)
    pruned = service.storage.prune(clock.time_ns())
    assert pruned.rows == dict.fromkeys(MOVED, 2) | {"spans": 4}
    after = views_of(service.storage)
    for name in ("sessions", "processing_metrics", "logs"):
        assert after[name] <= before[name]
        assert after[name].total() == 1
    assert count(service, "archived_sessions") == 1
    assert {one[:10] for one in _days(service)} == {"2026-01-03"}


def _days(service: MetricsService) -> list[str]:
    return [row["day"] for row in rows(service, "segments")]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_segments_are_for_their_owner_alone(service: MetricsService, mask: int) -> None:
    """Files are 0600 and the folder 0700, whatever the umask, after a merge too."""
    before = os.umask(mask)
    try:
        for _ in range(2):
            play(service)
            move_to_segments(service)
    finally:
        os.umask(before)
    assert service.storage.layout.segments_folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in segment_files(service.storage)} == {0o600}


def test_nothing_to_move_makes_nothing(service: MetricsService) -> None:
    """A store whose only session is open, and an empty one, have no segment afterwards and are as they were."""
    assert move_to_segments(service).rows == {}
    service.create_session(1, 2)
    service.flush()
    before = views_of(service.storage)
    assert move_to_segments(service).segments == 0
    assert views_of(service.storage) == before
    assert segment_files(service.storage) == []


def test_compaction_waits_for_nobody_longer_than_told(service: MetricsService) -> None:
    """While another process keeps the tables it does nothing and says so."""
    play(service)
    service.flush()
    other = storage_in(service.settings.database.parent)
    with service.storage.alone(1.0):
        assert compact(other, service.settings, wait_s=0.05) is None


def test_damaged_segment_is_not_merged_into_a_sound_one(service: MetricsService) -> None:
    """A segment in which a bit has flipped stays alone, so that it can be told and set aside."""
    play(service)
    move_to_segments(service)
    (path,) = [one for one in segment_files(service.storage) if one.name.startswith("logs")]
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    play(service)
    move_to_segments(service)
    with service.storage.reading() as connection:
        assert sum(one.table == "logs" for one in listed(connection)) == 2
        assert sum(one.table == "sessions" for one in listed(connection)) == 1
