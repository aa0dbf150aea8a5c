"""From the journal into the tables: every whole line once; what can not be read is set aside."""

import sqlite3
from contextlib import closing

import pytest
from support.generated import NOW_NS, Stage, make_store
from support.processes import run, start
from support.stores import count, layout_in, rows

from otel_metrics.settings import Settings
from otel_metrics.store.drain import Drain
from otel_metrics.store.tables import MetricsStorage


def storage_in(folder, **more):
    layout = layout_in(folder)
    return MetricsStorage(layout, Settings(database=layout.database, log_file=layout.log_file, **more))


def test_a_second_pass_stores_nothing_again(tmp_path):
    """The offset moves with the rows: draining again, or after rows were deleted, brings nothing back."""
    storage, _ = make_store(tmp_path, [Stage(1, "ai_processing", NOW_NS // 1000, 5, True)], [])
    with closing(sqlite3.connect(tmp_path / "metrics.db")) as connection, connection:
        connection.execute("DELETE FROM processing_metrics")
    fresh = Drain(storage.layout)
    assert fresh.run().stored == 0
    assert count(tmp_path / "metrics.db", "processing_metrics") == 0


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (b"garbage\n", 2), (b"{}\n", 2), (b'{"kind":"stage"}\n', 2), (b'{"kind":"nonsense","x":1}\n', 2), (b"\xff\xfe\x00\n", 2),
        (b'{"kind":"stage","metric_id":"torn in the mid', 2), (b'{"kind":"log","timestamp":5}\n', 2), (b"[1],[2]\n", 2),
    ],
)  # fmt: skip
def test_a_bad_line_is_set_aside_and_the_next_is_read(tmp_path, damage, kept):
    """Garbage, foreign JSON and a torn line before a whole one are counted and kept apart; every sound line is stored."""
    storage, _ = make_store(tmp_path, [Stage(1, "ai_processing", NOW_NS // 1000, 5, True)], [])
    log = tmp_path / "metrics.jsonl"
    sound = log.read_bytes().splitlines(keepends=True)[-1]
    other = sound.replace(b'"metric_id":"0', b'"metric_id":"1')
    with log.open("ab") as file:
        file.write(damage + other)
    report = Drain(storage.layout).run()
    assert (report.stored, report.rejected) == (1, 1)
    assert count(tmp_path / "metrics.db", "processing_metrics") == kept
    assert damage.rstrip(b"\n") in (tmp_path / "metrics.rejected").read_bytes()
    assert rows(tmp_path / "metrics.db", "journal_files")[0]["rejected"] == 1


def test_a_torn_last_line_waits_for_its_end(tmp_path):
    """Half a line is not read; when the rest comes, it is one row."""
    storage, _ = make_store(tmp_path, [Stage(1, "ai_processing", NOW_NS // 1000, 5, True)], [])
    log = tmp_path / "metrics.jsonl"
    sound = log.read_bytes().splitlines(keepends=True)[-1].replace(b'"metric_id":"0', b'"metric_id":"1')
    with log.open("ab") as file:
        file.write(sound[:100])
    assert Drain(storage.layout).run().stored == 0
    with log.open("ab") as file:
        file.write(sound[100:])
    report = Drain(storage.layout).run()
    assert (report.stored, report.rejected) == (1, 0)


def test_the_next_writer_ends_a_torn_line(tmp_path):
    """A process that begins to write behind a torn line of a dead one keeps its own lines whole."""
    make_store(tmp_path, [Stage(1, "ai_processing", NOW_NS // 1000, 5, True)], [])
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"kind":"stage","metric_id":"half a li')
    run('import otel_metrics as m\nwith m.timer(m.create_session(1, 2), 1, 2, "ai_processing"): pass\n', tmp_path)
    assert count(tmp_path / "metrics.db", "processing_metrics") == 2
    assert rows(tmp_path / "metrics.db", "journal_files")[0]["rejected"] == 1


def test_rotation_among_processes_loses_nothing_and_keeps_ten(tmp_path):
    """Three processes rotate a small log under each other: the count is exact, and drained logs beyond ten are gone."""
    code = """
    import sys
    import otel_metrics as m
    session = m.create_session(1, 2)
    for number in range(400):
        with m.timer(session, 1, 2, "ai_processing", number=number):
            pass
    m.shutdown()
    """
    processes = [start(code, tmp_path, METRICS_LOG_MAX_BYTES="8192") for _ in range(3)]
    for process in processes:
        assert process.communicate(timeout=60)[1] == ""
    storage = storage_in(tmp_path)
    storage.drain(10.0)
    storage.prune()
    assert count(tmp_path / "metrics.db", "processing_metrics") == 1200
    files = rows(tmp_path / "metrics.db", "journal_files")
    assert len(files) >= 3
    assert all(file["rejected"] == 0 for file in files)
    assert len(list(tmp_path.glob("metrics.jsonl.*"))) <= 10


def test_a_stage_in_progress_is_running_until_it_ends(tmp_path):
    """A stage that has begun stands in `running` and not in processing_metrics; when it ends it is the other way round."""
    process = start(
        """
        import sys
        import otel_metrics as m
        with m.timer(m.create_session(1, 2), 1, 2, "admin_review"):
            print("begun", flush=True)
            sys.stdin.readline()
        """,
        tmp_path,
    )
    assert process.stdout.readline() == "begun\n"
    storage = storage_in(tmp_path)
    storage.drain(5.0)
    assert [row["stage"] for row in rows(tmp_path / "metrics.db", "running")] == ["admin_review"]
    assert count(tmp_path / "metrics.db", "processing_metrics") == 0
    process.communicate("go on\n", timeout=30)
    storage.drain(5.0)
    assert count(tmp_path / "metrics.db", "running") == 0
    assert [row["stage"] for row in rows(tmp_path / "metrics.db", "processing_metrics")] == ["admin_review"]
