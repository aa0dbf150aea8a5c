"""Backups of a store whose rows are in segments: a whole store of one moment, whatever is moved or forgotten meanwhile."""

import os
import shutil
from pathlib import Path

import pytest
from support.people import ANNA, make_people
from support.processes import finish, start
from support.stores import rows
from support.tiers import move, segment_files, storage_in, views_of

from otel_metrics.analytics.cold_store import ColdStore
from otel_metrics.analytics.engine import Engine
from otel_metrics.errors import SettingError, StoreDamaged
from otel_metrics.settings import Settings
from otel_metrics.store import backup as backups
from otel_metrics.store.backup import back_up
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

WRITER = """
    import sys, threading, otel_metrics as m
    m.configure(log_max_bytes=200_000, log_backups=1000, drain_interval_s=0.05)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    number = 0
    while not ended.wait(0.001):
        session = m.create_session(5, 5)
        with m.timer(session, 5, 5, "ai_processing", number=number):
            m.record_system_metric("number", number)
        m.end_session(session)
        number += 1
        if number == 20:
            print("runs", flush=True)
    m.shutdown()
    print(number)
"""
COMPACTOR = """
    import sys, time, threading
    from pathlib import Path
    from support.tiers import storage_in
    from otel_metrics.analytics.compaction import compact
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    storage, moves = storage_in(Path(sys.argv[1])), 0
    while not ended.is_set():
        done = compact(storage, storage._settings, wait_s=5.0)
        moves += done is not None and done.segments > 0
        ended.wait(0.3)
    print(moves)
"""
TESTS = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of many people with its rows in segments, and some in tables."""
    folder = tmp_path_factory.mktemp("crowd") / "store"
    make_people(folder)
    move(storage_in(folder))
    finish(start("import otel_metrics as m; s = m.create_session(1, 2); m.record_system_metric('new', 1)", folder))
    storage_in(folder).drain(10)
    return folder


@pytest.fixture
def store(crowd: Path, tmp_path: Path) -> MetricsStorage:
    """A copy of it, to change."""
    shutil.copytree(crowd, tmp_path / "store")
    return storage_in(tmp_path / "store")


def storage_at(database: Path) -> MetricsStorage:
    layout = StoreLayout(database, database.with_suffix(".jsonl"))
    return MetricsStorage(layout, Settings(database=layout.database, log_file=layout.log_file, retention_days=36500.0))


def test_backup_answers_like_the_original(store: MetricsStorage, tmp_path: Path) -> None:
    """Every row of every view is in the copy; its files are whole copies for their owner alone, and the report has their sizes."""
    before = views_of(store)
    mask = os.umask(0)
    try:
        made = store.backup(tmp_path / "copy.db")
    finally:
        os.umask(mask)
    copies = segment_files(storage_at(made.path))
    assert views_of(storage_at(made.path)) == before
    assert made.sessions == before["sessions"].total()
    assert (made.segments, made.segments_bytes) == (len(copies), sum(path.stat().st_size for path in copies))
    assert made.size_bytes == made.path.stat().st_size + made.segments_bytes
    assert {path.stat().st_mode & 0o777 for path in copies} == {0o600}
    assert {path.stat().st_nlink for path in copies} == {1}
    assert copies[0].parent.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(store.layout.database.parent)
    assert views_of(storage_at(made.path)) == before


def test_second_backup_replaces_the_first(store: MetricsStorage, tmp_path: Path) -> None:
    """Segments that both have are not copied again, those of the first alone go; without segments no folder stays."""
    path = tmp_path / "copy.db"
    store.backup(path)
    before = {one.name: one.stat().st_ino for one in segment_files(storage_at(path))}
    store.forget(ANNA, ColdStore)
    store.backup(path)
    after = {one.name: one.stat().st_ino for one in segment_files(storage_at(path))}
    assert set(after) == {one.name for one in segment_files(store)}
    assert set(after) != set(before)
    assert all(before[name] == inode for name, inode in after.items() if name in before)
    assert views_of(storage_at(path)) == views_of(store)
    empty = tmp_path / "empty"
    finish(start("import otel_metrics; otel_metrics.create_session(1, 2)", empty))
    storage_in(empty).backup(path)
    assert not storage_at(path).layout.segments_folder.exists()


def test_backups_while_bots_write_and_rows_move(tmp_path: Path) -> None:
    """Each of six backups holds all records up to its moment, every one once, while a bot writes and another process moves rows all the time."""
    folder = tmp_path / "store"
    writer = start(WRITER, folder)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "runs\n"
    storage = storage_in(folder)
    storage.drain(10)
    compactor = start(COMPACTOR, folder, str(folder), PYTHONPATH=TESTS)
    found, cold = [], 0
    for number in range(6):
        made = storage.backup(tmp_path / f"{number}.db")
        cold += made.segments
        copy = storage_at(made.path)
        engine = Engine(copy)
        engine.refresh()
        ((total, different, last),) = engine.run(
            "SELECT count(*), count(DISTINCT value), max(CAST(value AS INTEGER)) FROM system_metrics"
        ).rows
        ((stages, keys),) = engine.run("SELECT count(*), count(DISTINCT metric_id) FROM processing_metrics").rows
        engine.close()
        assert total == different == last + 1
        assert stages == keys
        assert stages <= total <= stages + 1
        found.append(total)
    written, moves = int(finish(writer)), int(finish(compactor))
    print(f"{found} of {written}, {moves} moves, {cold} segments copied")
    assert found == sorted(found)
    assert found[-1] <= written
    assert moves > 0
    assert cold > 0


def test_what_the_original_moves_later_is_no_leftover_of_the_copy(store: MetricsStorage, tmp_path: Path) -> None:
    """Put back in its place, a copy leaves the newer segments of the original alone and takes nothing twice: what came later is read from the log."""
    made = store.backup(tmp_path / "copy.db")
    folder = store.layout.database.parent
    finish(
        start(
            "import otel_metrics as m; s = m.create_session(3, 4); m.record_stage(s, 3, 4, 'final_response', start_time=1_790_000_000, end_time=1_790_000_001); m.end_session(s)",
            folder,
        )
    )
    move(store)
    expected = views_of(store)
    for end in ("-wal", "-shm"):
        store.layout.database.with_name(f"metrics.db{end}").unlink(missing_ok=True)
    shutil.copy(made.path, store.layout.database)
    newer = {path.name for path in segment_files(store)}
    restored = storage_in(folder)
    restored.drain(10)
    assert views_of(restored) == expected
    move(restored)
    assert views_of(restored) == expected
    assert newer <= {path.name for path in segment_files(restored)}


def test_somebody_is_forgotten_while_a_backup_is_made(
    store: MetricsStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where segments go under the hands of a backup, it begins anew; the copy does not have the person either."""
    copy, times = backups.copy_segments, []

    def slow(*arguments: object, **more: object) -> bool:
        times.append(1)
        if len(times) == 1:
            store.forget(ANNA, ColdStore)
        return copy(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(backups, "copy_segments", slow)
    made = back_up(store.layout, tmp_path / "copy.db")
    assert len(times) == 2
    assert views_of(storage_at(made.path)) == views_of(store)
    assert not rows(made.path, "sessions", "user_id = ?", ANNA)


def test_damaged_segment_gives_no_backup(store: MetricsStorage, tmp_path: Path) -> None:
    """A store with a segment in which a bit has flipped, or that is gone, is not copied; an older backup stays as it was."""
    path = tmp_path / "copy.db"
    store.backup(path)
    before = path.read_bytes()
    broken = segment_files(store)[0]
    shutil.rmtree(storage_at(path).layout.segments_folder)
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 4
    broken.write_bytes(content)
    with pytest.raises(StoreDamaged, match=f"{broken.name} is damaged"):
        store.backup(path)
    broken.unlink()
    with pytest.raises(StoreDamaged, match=f"{broken.name} is gone"):
        store.backup(path)
    assert path.read_bytes() == before


def test_folder_of_others_is_not_touched(store: MetricsStorage, tmp_path: Path) -> None:
    """A folder of the copy's name with something else in it is refused before anything is written."""
    folder = tmp_path / "copy.db.segments"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    with pytest.raises(SettingError, match=r"letter\.txt is there and no segment of a backup"):
        store.backup(tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
