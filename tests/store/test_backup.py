"""Backups: one sound file of one moment, whatever others write meanwhile, from which a store goes on."""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.processes import finish, start
from support.stores import count, layout_in, rows

from otel_metrics.errors import SettingError, StoreDamaged, StoreError
from otel_metrics.settings import Settings
from otel_metrics.store.backup import back_up
from otel_metrics.store.key import load_key
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

WRITER = """
    import sys, threading, otel_metrics
    name = sys.argv[1]
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    number = 0
    while not ended.wait(0.0005):  # faster ones would outrun the drain on a small machine
        session = otel_metrics.create_session(5, 5)
        with otel_metrics.timer(session, 5, 5, "ai_processing", name=name, number=number):
            otel_metrics.record_system_metric(name, number)
        number += 1
        if number == 20:
            print("runs", flush=True)
    otel_metrics.shutdown()
    print(number)
"""


@pytest.fixture
def store(tmp_path: Path) -> MetricsStorage:
    """A store with one session."""
    folder = tmp_path / "store"
    layout = layout_in(folder)
    finish(start("import otel_metrics; otel_metrics.create_session(1, 2)", folder))
    return storage_of(layout)


def storage_of(layout: StoreLayout) -> MetricsStorage:
    return MetricsStorage(layout, Settings(database=layout.database, log_file=layout.log_file, log_backups=1000))


def figures(database: Path) -> dict[str, int]:
    """How many stages and values of each writer there are, none of them twice, and each stage with its session."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        lonely = "SELECT count(*) FROM processing_metrics WHERE session_id NOT IN (SELECT session_id FROM sessions)"
        assert connection.execute(lonely).fetchone() == (0,)
        found: dict[str, int] = {}
        for table, name, number in (
            ("processing_metrics", "metadata ->> 'name'", "metadata ->> 'number'"),
            ("system_metrics", "metric_type", "CAST(value AS INTEGER)"),
        ):
            query = f"SELECT {name}, count(*), count(DISTINCT {number}) FROM {table} GROUP BY 1"
            for writer, times, different in connection.execute(query):
                assert times == different
                found[f"{table} {writer}"] = times
    return found


def test_backups_under_load_are_sound_and_of_one_moment(tmp_path: Path) -> None:
    """While three processes write and drain, each of ten backups is sound and holds what the one before held and more; restored, it gets the rest from the log."""
    folder = tmp_path / "store"
    writers = [start(WRITER, folder, f"w{number}", METRICS_DRAIN_INTERVAL="0.02", METRICS_LOG_MAX_BYTES="200000",
                     METRICS_LOG_BACKUPS="1000") for number in range(3)]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "runs\n"
    storage = storage_of(layout_in(folder))
    before: dict[str, int] = {}
    for number in range(10):
        copy = tmp_path / f"{number}.db"
        storage.backup(copy)
        found = figures(copy)
        assert sorted(os.listdir(tmp_path)) == sorted(
            ["store", *(f"{n}.db{end}" for n in range(number + 1) for end in ("", ".key"))]
        )
        assert len(found) == 6
        assert all(found[name] >= times for name, times in before.items())
        before = found
    written = [int(finish(writer)) for writer in writers]
    assert 0 < sum(before.values()) < 2 * sum(written)

    for number in (0, 9):
        restored = tmp_path / f"restored{number}"
        shutil.copytree(folder, restored)
        for end in ("-wal", "-shm"):
            (restored / f"metrics.db{end}").unlink(missing_ok=True)
        shutil.copy(tmp_path / f"{number}.db", restored / "metrics.db")
        storage_of(layout_in(restored)).drain(10)
        assert figures(restored / "metrics.db") == {
            f"{table} w{one}": times for one, times in enumerate(written) for table in ("processing_metrics", "system_metrics")
        }  # fmt: skip


def test_backup_is_one_private_file_and_the_key(store: MetricsStorage, tmp_path: Path) -> None:
    """A backup needs no second file but the key, which is the store's; both are for their owner alone, whatever the umask."""
    mask = os.umask(0)
    try:
        made = store.backup(tmp_path / "copy.db")
    finally:
        os.umask(mask)
    assert (made.sessions, made.size_bytes) == (1, (tmp_path / "copy.db").stat().st_size)
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "copy.db.key", "store"]
    assert made.key == tmp_path / "copy.db.key"
    assert made.key.read_bytes() == load_key(store.layout, None)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("copy.db", "copy.db.key")} == {0o600}
    with closing(sqlite3.connect(f"file:{tmp_path / 'copy.db'}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_backup_takes_in_the_log_first(store: MetricsStorage, tmp_path: Path) -> None:
    """What is only in the log yet is in the backup too, and what stands only in the write-ahead log of the database."""
    with closing(sqlite3.connect(store.layout.database)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sessions").fetchone()  # and so the write-ahead log has to be kept
        finish(
            start(
                "import os, otel_metrics; otel_metrics.create_session(1, 2); os._exit(0)", store.layout.database.parent
            )
        )
        store.backup(tmp_path / "copy.db")
    assert count(tmp_path / "copy.db", "sessions") == 2


def test_older_backup_is_replaced(store: MetricsStorage, tmp_path: Path) -> None:
    """A second backup takes the place of the first, also after somebody has looked into that with our own commands."""
    path = tmp_path / "copy.db"
    path.touch()
    store.backup(path)
    storage_of(StoreLayout(path, path.with_suffix(".jsonl"))).drain()
    finish(start("import otel_metrics; otel_metrics.create_session(1, 2)", store.layout.database.parent))
    assert store.backup(path).sessions == 2
    assert count(path, "sessions") == 2


def test_what_a_killed_backup_left_is_in_nobodys_way(store: MetricsStorage, tmp_path: Path) -> None:
    """Half a copy of a backup that died is replaced and gone after the next one."""
    for end in ("", "-wal", "-journal"):
        (tmp_path / f".copy.db.draft{end}").write_bytes(b"half")
    store.backup(tmp_path / "copy.db")
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "copy.db.key", "store"]


def test_two_backups_at_once_do_not_meet(store: MetricsStorage, tmp_path: Path) -> None:
    """While another process makes a backup at a path, a second one there is refused."""
    hold = start(
        "import fcntl, os, sys; d = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR); fcntl.flock(d, fcntl.LOCK_EX); "
        "print(1, flush=True); sys.stdin.read()",
        tmp_path, str(tmp_path / ".copy.db.draft"),
    )  # fmt: skip
    assert hold.stdout is not None
    hold.stdout.readline()
    with pytest.raises(StoreError, match="another process makes a backup"):
        store.backup(tmp_path / "copy.db")
    finish(hold)
    store.backup(tmp_path / "copy.db")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nowhere/copy.db", "there is no folder"), (".", "is no plain file"), ("store/metrics.db", "is a file of the store"),
        ("store/metrics.db-wal", "is a file of the store"), ("store/metrics.db.key", "is a file of the store"),
        ("store/metrics.jsonl", "is a file of the store"), ("store/metrics.jsonl.000009", "is a file of the store"),
        ("store/metrics.rejected", "is a file of the store"), ("store/metrics.db.forgotten", "is a file of the store"),
        ("store/metrics.db.damaged-1", "is a file of the store"), ("link.db", "is a file of the store"),
        ("text.db", "is there and no backup"), ("other.db", "is there and no backup"), ("live.db", "is there and no backup"),
        ("keyed.db", "is there and no key"),
    ],
)  # fmt: skip
def test_other_files_are_not_overwritten(store: MetricsStorage, tmp_path: Path, name: str, found: str) -> None:
    """A path that is the store's, that cannot be a file, or that holds something else is refused, and stays as it is."""
    store.drain()
    os.link(store.layout.database, tmp_path / "link.db")
    (tmp_path / "text.db").write_text("a letter")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    shutil.copy(store.layout.database, tmp_path / "live.db")
    shutil.copy(store.layout.log_file, tmp_path / "live.jsonl")
    (tmp_path / "keyed.db.key").write_text("another key")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(SettingError, match=found):
        store.backup(tmp_path / name)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_damaged_database_gives_no_backup(store: MetricsStorage, tmp_path: Path) -> None:
    """A copy that is not sound does not take the place of an older one that is."""
    store.backup(tmp_path / "copy.db")
    older = (tmp_path / "copy.db").read_bytes()
    with closing(sqlite3.connect(store.layout.database)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sessions'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with store.layout.database.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)
    with pytest.raises(StoreDamaged, match="is damaged"):
        back_up(store.layout, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_bytes() == older
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "copy.db.key", "store"]


def test_store_that_is_not_there_has_no_backup(tmp_path: Path) -> None:
    """Without a database nothing is copied and nothing is made."""
    with pytest.raises(StoreError, match="there is no database"):
        back_up(layout_in(tmp_path), tmp_path / "copy.db")
    assert os.listdir(tmp_path) == []


def test_key_of_the_settings_is_not_copied(tmp_path: Path) -> None:
    """A store whose key is a setting has no key file, and neither has its backup."""
    folder = tmp_path / "store"
    finish(
        start("import otel_metrics; otel_metrics.create_session(1, 2)", folder, METRICS_ID_KEY="a secret of the bots")
    )
    assert storage_of(layout_in(folder)).backup(tmp_path / "copy.db").key is None
    assert sorted(os.listdir(tmp_path)) == ["copy.db", "store"]


def test_restored_store_keeps_its_hashes(store: MetricsStorage, tmp_path: Path) -> None:
    """Moved to another place with its key, a backup is a store: it records on, and equal ids have equal hashes."""
    store.backup(tmp_path / "copy.db")
    restored = tmp_path / "restored"
    restored.mkdir()
    for end in ("", ".key"):
        shutil.copy(tmp_path / f"copy.db{end}", restored / f"metrics.db{end}")
    code = "import otel_metrics as m; s = m.create_session(1, 2); m.record_correction(s, 77, 'm', 'rejection', '', '', 1); m.get_metrics_service().flush()"
    for folder in (store.layout.database.parent, restored):
        finish(start(code, folder))
    hashes = [
        json.dumps(rows(folder / "metrics.db", "spans")[0]["events"][0]["attributes"]["hitl.moderator.id"])
        for folder in (store.layout.database.parent, restored)
    ]
    assert hashes[0] == hashes[1]
    assert count(restored / "metrics.db", "sessions") == 2
