"""Moves into segments that are killed, that meet a full disk, and that run beside writers, drainers and readers."""

import errno
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support.cli import real
from support.faults import FOREVER, KILLED, Operation, faults_in, needs_faults
from support.processes import TIMEOUT_S, finish, start
from support.tiers import hot_counts, move, segment_files, storage_in, views_of

PLAY = """
    import sys, otel_metrics as m
    m.configure(log_max_bytes=20_000, log_backups=1000)
    for number in range(int(sys.argv[1])):
        session = m.create_session(number, -number, note=f"session {number}")
        at = 1_750_000_000 + number * 20_000
        m.record_stage(session, number, -number, "ai_processing", start_time=at, end_time=at + 1, number=number)
        m.record_correction(session, 7, f"m{number}", "text_correction", "a draft", "a better draft", 1000 + number)
        m.record_system_metric("number", number)
        m.end_session(session)
    m.get_metrics_service().flush()
"""
ON_ORDER = """
    import sys
    import otel_metrics.analytics.compaction
    from otel_metrics.delivery.cli import main
    print("ready", flush=True)
    sys.stdin.readline()
    sys.argv = ["otel-metrics", "compact"]
    main()
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with rows of several days, half of them in segments already."""
    folder = tmp_path_factory.mktemp("played")
    finish(start(PLAY, folder, "20"))
    move(storage_in(folder))
    finish(start(PLAY, folder, "20"))
    storage_in(folder).drain(10)
    return folder


def compaction(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """One by the command line, with its database named as a user does."""
    return real("compact", folder=folder, METRICS_RETENTION_DAYS="0", **variables)


def check(folder: Path, before: object) -> None:
    """Every row is there once, also after another compaction, and nothing is left that nobody knows."""
    storage = storage_in(folder)
    assert views_of(storage) == before
    move(storage)
    assert views_of(storage) == before
    with storage.reading() as connection:
        known = {
            row[0] for row in connection.execute("SELECT name FROM segments UNION SELECT name FROM retired_segments")
        }
    assert {path.name for path in segment_files(storage)} == known


@needs_faults
@pytest.mark.parametrize("rounds", [16, pytest.param(400, marks=pytest.mark.long)])
def test_compaction_killed_at_any_call_loses_and_doubles_nothing(played: Path, tmp_path: Path, rounds: int) -> None:
    """Killed before or after any write, fsync, rename or unlink, a compaction leaves every row once; the next one sweeps up and completes it."""
    before = views_of(storage_in(played))
    faults = faults_in(tmp_path)
    operations = (
        Operation.OPEN | Operation.WRITE | Operation.SYNC | Operation.RENAME | Operation.TRUNCATE | Operation.UNLINK
    )
    shutil.copytree(played, whole := tmp_path / "whole")
    faults.count("metrics.db", operations)
    assert compaction(whole, **faults.variables).returncode == 0
    calls, killed = faults.seen, 0
    check(whole, before)
    chance = random.Random(7)
    for number in range(rounds):
        shutil.copytree(played, folder := tmp_path / str(number))
        nth = 1 + (calls - 1) * number // max(1, rounds - 1)
        faults.kill("metrics.db", operations, first=nth, after=chance.random() < 0.5)
        killed += compaction(folder, **faults.variables).returncode == KILLED
        faults.heal()
        check(folder, before)
        shutil.rmtree(folder)
    print(f"{killed} kills within {calls} calls")
    assert killed > rounds * 0.7


@pytest.mark.parametrize("rounds", [6, pytest.param(100, marks=pytest.mark.long)])
def test_compaction_killed_at_any_moment_loses_and_doubles_nothing(played: Path, tmp_path: Path, rounds: int) -> None:
    """The same by signals at random moments."""
    before = views_of(storage_in(played))
    chance = random.Random(3)
    killed = 0
    for number in range(rounds):
        shutil.copytree(played, folder := tmp_path / str(number))
        process = start(ON_ORDER, folder, METRICS_RETENTION_DAYS="0")
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(chance.uniform(0.0, 0.35))
        process.kill()
        process.communicate(timeout=TIMEOUT_S)
        killed += process.returncode == -signal.SIGKILL
        check(folder, before)
    print(f"{killed} of {rounds} killed")
    assert killed > 0


@needs_faults
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("first", [1, 3, 20])
def test_full_disk_leaves_everything_in_the_tables(played: Path, tmp_path: Path, error: str, first: int) -> None:
    """Where the disk takes no segment, the command says so in one line and ends with 1; no row moves, and no half file stays in the way."""
    before = views_of(storage_in(played))
    shutil.copytree(played, folder := tmp_path / "store")
    storage = storage_in(folder)
    hot, files = hot_counts(storage), segment_files(storage)
    faults = faults_in(tmp_path)
    faults.fail(".segments/", Operation.WRITE, getattr(errno, error), first=first, times=FOREVER)
    done = compaction(folder, **faults.variables)
    assert faults.hit > 0
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done
    assert "fault of otel_metrics" not in done.stderr
    assert str(storage.layout.segments_folder) in done.stderr
    assert (hot_counts(storage), segment_files(storage)) == (hot, files)
    dashboard = real(
        "dashboard", folder=folder, METRICS_COMPACT_ROWS="1", METRICS_RETENTION_DAYS="0", **faults.variables
    )
    assert dashboard.returncode == 0
    assert "answers take longer" in dashboard.stderr
    check(folder, before)


WRITER = """
    import sys, threading, otel_metrics as m
    m.configure(log_max_bytes=100_000, log_backups=1000, drain_interval_s=0.05)
    name, count = sys.argv[1], int(sys.argv[2])
    print("runs", flush=True)
    for number in range(count):
        session = m.create_session(1, 2)
        with m.timer(session, 1, 2, "ai_processing", by=name, number=number):
            m.record_system_metric(name, number)
        if number % 3:
            m.end_session(session)
    m.shutdown()
"""
READER = """
    import sys, time
    from pathlib import Path
    from support.tiers import storage_in
    from otel_metrics.analytics.engine import Engine
    storage = storage_in(Path(sys.argv[1]))
    while not storage.exists():
        time.sleep(0.01)
    engine, before, looks = Engine(storage), 0, 0
    Path(sys.argv[2]).touch()
    while not Path(sys.argv[3]).exists():
        try:
            engine.refresh()
        except Exception as error:
            if "has no tables yet" in str(error):
                continue
            raise
        ((n, different),) = engine.run("SELECT count(*), count(DISTINCT metric_id) FROM processing_metrics").rows
        assert n == different, (n, different)
        assert n >= before, (n, before)
        before, looks = n, looks + 1
    print(looks)
"""
COMPACTOR = """
    import sys, time
    from pathlib import Path
    from support.tiers import storage_in
    from otel_metrics.analytics.compaction import compact
    storage, moves = storage_in(Path(sys.argv[1])), 0
    while not Path(sys.argv[2]).exists():
        done = compact(storage, storage._settings, wait_s=5.0)
        moves += done is not None and done.segments > 0
    print(moves)
"""


@pytest.mark.parametrize("count", [1500, pytest.param(10_000, marks=pytest.mark.long)])
def test_writers_drainers_readers_and_a_compactor_at_once(tmp_path: Path, count: int) -> None:
    """While processes write and drain, one moves rows all the time and two ask: each look sees every row once, and in the end all are there."""
    folder, over = tmp_path / "store", tmp_path / "over"
    more = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])}
    writers = [start(WRITER, folder, f"w{n}", str(count)) for n in range(2)]
    readers = [start(READER, folder, str(folder), str(tmp_path / f"r{n}"), str(over), **more) for n in range(2)]
    compactor = start(COMPACTOR, folder, str(folder), str(over), **more)
    for writer in writers:
        finish(writer, 120)
    time.sleep(0.5)
    over.touch()
    looks, moves = [int(finish(one)) for one in readers], int(finish(compactor))
    storage = storage_in(folder)
    move(storage)
    views = views_of(storage)
    print(f"{looks} looks, {moves} moves")
    assert moves > 0  # on a busy machine a move takes a second
    assert min(looks) > 2
    for name in ("processing_metrics", "system_metrics", "sessions"):
        assert (views[name].total(), len(views[name])) == (2 * count, 2 * count)
    account = storage.account()
    assert (account.missing, account.in_journal, account.emitted) == (0, 0, account.stored)
