"""Forgetting a person whose rows are in segments: nothing of them stays in any byte, and nothing of anybody else goes."""

import random
import shutil
from pathlib import Path

import pytest
from support.people import ANNA, BERT, MODERATOR, SLACK, make_people, segment_rows, traces_of
from support.processes import TIMEOUT_S, start
from support.stores import rows
from support.tiers import Views, move, segment_files, storage_in, views_of

from otel_metrics.analytics.cold_store import ColdStore
from otel_metrics.errors import StoreDamaged, StoreError
from otel_metrics.store.key import load_key
from otel_metrics.store.tables import MetricsStorage

FORGETTER = """
    import os, signal, sys
    from otel_metrics.analytics.cold_store import ColdStore
    from otel_metrics.settings import load
    from otel_metrics.store.layout import StoreLayout
    from otel_metrics.store.tables import MetricsStorage
    settings = load()
    storage = MetricsStorage(StoreLayout(settings.database, settings.log_file), settings)
    left = int(sys.argv[2])
    STEPS = {"open", "fsync", "rename", "unlink", "utime", "flock", "execute", "executemany"}
    def die_at_the_last(frame, event, called):
        global left
        if event == "c_call" and called.__name__ in STEPS:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    print("begins", flush=True)
    sys.setprofile(die_at_the_last)
    storage.forget(sys.argv[1], ColdStore)
    sys.setprofile(None)
    print(left)
"""


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of many people, all rows in its tables."""
    folder = tmp_path_factory.mktemp("crowd") / "store"
    make_people(folder)
    return folder


@pytest.fixture(scope="module")
def cold_crowd(crowd: Path) -> Path:
    """The same store with its rows in segments, some of them merged, so that retired ones lie there too."""
    folder = crowd.parent / "cold"
    shutil.copytree(crowd, folder)
    storage = storage_in(folder)
    move(storage)
    assert len({path.name.split("-")[0] for path in segment_files(storage)}) == 6
    return folder


def copy_of(folder: Path, to: Path) -> MetricsStorage:
    shutil.copytree(folder, to)
    return storage_in(to)


def facts(views: Views) -> Views:
    return {name: found for name, found in views.items() if name != "processes"}


@pytest.mark.parametrize("user", [ANNA, BERT, MODERATOR, SLACK])
def test_nothing_of_a_forgotten_person_stays_in_segments(
    crowd: Path, cold_crowd: Path, tmp_path: Path, user: int | str
) -> None:
    """A user, a moderator or a Slack user stands afterwards in no row and no byte of any segment, and answers are exactly those of a store that never had segments."""
    hot, cold = copy_of(crowd, tmp_path / "hot"), copy_of(cold_crowd, tmp_path / "cold")
    folder, key = cold.layout.database.parent, load_key(cold.layout, None)
    before = traces_of(folder, user, key)
    assert any(".parquet" in trace for trace in before)
    assert views_of(hot) == views_of(cold)

    expected, report = hot.forget(user), cold.forget(user, ColdStore)

    assert traces_of(folder, user, key) == []
    assert facts(views_of(cold)) == facts(views_of(hot))
    assert report.deleted == expected.deleted
    assert {name: n for name, n in report.scrubbed.items() if name != "archived_sessions"} == expected.scrubbed
    assert any(".parquet" in name for name in report.files_rewritten)
    with cold.reading() as connection:
        known = {row[0] for row in connection.execute("SELECT name FROM segments")}
        assert connection.execute("SELECT count(*) FROM retired_segments").fetchone() == (0,)
    assert {path.name for path in segment_files(cold)} == known
    assert {path.stat().st_mode & 0o777 for path in segment_files(cold)} == {0o600}


def test_segments_that_do_not_hold_the_person_are_not_written_anew(cold_crowd: Path, tmp_path: Path) -> None:
    """A second run finds nothing and leaves every file as it is."""
    storage = copy_of(cold_crowd, tmp_path / "store")
    storage.forget(SLACK, ColdStore)
    before = {path.name: path.stat().st_ino for path in segment_files(storage)}
    report = storage.forget(SLACK, ColdStore)
    assert (report.deleted, report.scrubbed, report.files_rewritten) == ({}, {}, [])
    assert {path.name: path.stat().st_ino for path in segment_files(storage)} == before


def test_forgotten_sessions_are_not_known_any_more(cold_crowd: Path, tmp_path: Path) -> None:
    """The memory of sessions that have moved loses the person's own; those of others stay."""
    storage = copy_of(cold_crowd, tmp_path / "store")
    before = len(rows(storage.layout.database, "archived_sessions"))
    report = storage.forget(ANNA, ColdStore)
    assert before - len(rows(storage.layout.database, "archived_sessions")) == 5
    assert report.deleted["sessions"] >= 5


def test_files_that_were_replaced_before_go_too(cold_crowd: Path, tmp_path: Path) -> None:
    """Segments that a merge or a retention has retired, half-written ones, and damaged ones that were set aside do not outlive a forgetting."""
    storage = copy_of(cold_crowd, tmp_path / "store")
    (one, *_) = (path for path in segment_files(storage) if path.name.startswith("sessions"))
    shutil.copy(one, one.with_name(f"{one.name}.damaged-20260101T000000.000000Z"))
    shutil.copy(one, one.with_name(f"{one.name[:46]}-00000000.parquet.draft"))
    with storage.alone(1.0) as connection:
        assert connection is not None
        shutil.copy(one, one.with_name("sessions-2026-01-01-0-retired.parquet"))
        connection.execute("INSERT INTO retired_segments VALUES ('sessions-2026-01-01-0-retired.parquet', 1)")
    report = storage.forget(ANNA, ColdStore)
    assert traces_of(storage.layout.database.parent, ANNA, load_key(storage.layout, None)) == []
    assert any(".parquet.damaged-" in name for name in report.files_removed)


@pytest.mark.parametrize("rounds", [10, pytest.param(150, marks=pytest.mark.long)])
def test_killed_forgetting_of_cold_rows_is_completed_by_the_next(
    crowd: Path, cold_crowd: Path, tmp_path: Path, rounds: int
) -> None:
    """Killed at any moment, forgetting leaves a store that answers; run again, nothing of the person is left and everybody else's rows are there once."""
    chance = random.Random(11)
    whole = copy_of(cold_crowd, tmp_path / "whole")
    steps = 10**6 - int(run_forgetter(whole, 10**6)[1])
    expected = facts(views_of(whole))
    killed = 0
    for number in range(rounds):
        storage = copy_of(cold_crowd, tmp_path / str(number))
        # The later half is where tables and segments change.
        status, _ = run_forgetter(storage, chance.randrange(steps // 3, steps))
        killed += status == -9
        assert views_of(storage)["sessions"].total() >= 50

        storage.forget(ANNA, ColdStore)

        assert traces_of(storage.layout.database.parent, ANNA, load_key(storage.layout, None)) == []
        assert facts(views_of(storage)) == expected
        shutil.rmtree(tmp_path / str(number))
    assert killed == rounds
    print(f"{rounds} kills within {steps} steps")


def run_forgetter(storage: MetricsStorage, steps: int) -> tuple[int, str]:
    process = start(FORGETTER, storage.layout.database.parent, str(ANNA), str(steps), METRICS_LOG_BACKUPS="1000")
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    output, complaint = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode in {0, -9}, complaint
    return process.returncode, output.strip()


def test_forgetting_is_not_pretended(cold_crowd: Path, tmp_path: Path) -> None:
    """Who can not rewrite segments is refused instead of leaving the person there; so is a store with a damaged one."""
    storage = copy_of(cold_crowd, tmp_path / "store")
    with pytest.raises(StoreError, match="the person may stand in"):
        storage.forget(ANNA)
    path = segment_files(storage)[0]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StoreDamaged, match=path.name):
        storage.forget(ANNA, ColdStore)


def test_rows_of_a_segment_can_be_looked_at(cold_crowd: Path) -> None:
    """What the other tests look for can be found: the names of everybody stand in the segments before."""
    texts = str([segment_rows(path) for path in segment_files(storage_in(cold_crowd))])
    assert all(f"name of {user}" in texts for user in (ANNA, BERT, MODERATOR, SLACK))
