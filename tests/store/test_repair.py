"""Mending: what a bot does by itself with a damaged database, what a desk does on demand, and what comes back."""

import errno
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from support.desk import desk
from support.faults import EVERY, FOREVER, KILLED, Operation, faults_in, needs_faults
from support.people import ANNA, make_people, traces_of
from support.processes import finish, run, start
from support.stores import count, layout_in, rows

import otel_metrics
from otel_metrics import MetricsService
from otel_metrics.errors import StoreDamaged
from otel_metrics.model.identity import IdHasher
from otel_metrics.model.times import iso
from otel_metrics.settings import Settings, load
from otel_metrics.store.key import load_key
from otel_metrics.store.locks import FileLock
from otel_metrics.store.repair import set_damaged_aside
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.store.tombstones import bury
from otel_metrics.testing import SteppedClock, temporary_service

DAY_S = 86_400
BOT = """
import sys
import otel_metrics as m
service = m.configure(log_max_bytes=9000, log_backups=int(sys.argv[2]))
for number in range(int(sys.argv[1])):
    with m.timer(m.create_session(1, 2), 1, 2, "ai_processing"):
        m.get_logger().info("step", "a step", number=number)
    m.record_system_metric("number", number)
m.shutdown()
"""
MEND = """
import sys, warnings
warnings.simplefilter("error" if sys.argv[1:] else "ignore")
import otel_metrics as m
service = m.get_metrics_service()
m.record_system_metric("number", -1)
service.flush()
m.shutdown()
"""


def made(folder: Path, sessions: int = 60, backups: int = 1000) -> Path:
    """The database of a bot that has ended."""
    run(BOT, folder, str(sessions), str(backups))
    return folder / "metrics.db"


def spoil(database: Path) -> None:
    """Makes zeros of its second half."""
    size = database.stat().st_size
    with database.open("r+b") as file:
        file.seek(size // 2)
        file.write(bytes(size - size // 2))


def storage_of(folder: Path, *, in_bot: bool = False) -> MetricsStorage:
    layout = layout_in(folder)
    settings = Settings(database=layout.database, log_file=layout.log_file, log_backups=1000)
    return MetricsStorage(layout, settings, in_bot=in_bot)


def numbers(database: Path) -> list[int]:
    """The values that bots recorded, in order."""
    return sorted(int(row["value"]) for row in rows(database, "system_metrics"))


def is_sound(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# --- in a bot -------------------------------------------------------------------------------------------------------------


def test_a_bot_sets_a_damaged_database_aside_and_makes_it_anew(tmp_path: Path) -> None:
    """With one warning that names the file that is kept; all that the log holds is in the tables once, the rest is where it was."""
    database = made(tmp_path)
    spoil(database)
    damaged = database.read_bytes()
    settings = load({"database": database, "log_file": tmp_path / "metrics.jsonl", "log_backups": 1000})
    with MetricsService(settings) as service, pytest.warns(RuntimeWarning) as warned:
        service.record_system_metric("number", 60)
        service.flush()
        (aside,) = tmp_path.glob("metrics.db.damaged-*Z")
        assert service.losses.snapshot() == {}
    (message,) = (str(one.message) for one in warned)
    assert aside.name in message
    assert "were read again" in message
    assert aside.read_bytes() == damaged
    assert is_sound(database)
    assert numbers(database) == list(range(61))
    assert count(database, "logs") == 60


def test_figures_are_right_again_in_the_bot_that_mended(tmp_path: Path) -> None:
    """A service that had answered from the old database answers from the new one, which begins where the log begins."""
    with temporary_service(tmp_path, strict=False, log_max_bytes=5000, log_backups=1) as service:
        for number in range(100):
            service.record_system_metric("number", number)
        query = "SELECT count(*) AS n FROM system_metrics"
        assert service.sql(query) == [{"n": 100}]
        spoil(service.settings.database)
        service.record_system_metric("number", 100)
        with pytest.warns(RuntimeWarning, match="was damaged"):
            answer = service.sql(query)
        assert answer == [{"n": count(service.settings.database, "system_metrics")}]
        assert answer[0]["n"] < 100


def test_a_desk_sets_nothing_aside(tmp_path: Path) -> None:
    """Who only asks gets an error that names the file and the way out, and the file stays."""
    database = made(tmp_path)
    spoil(database)
    with pytest.raises(StoreDamaged, match=rf"{database} is damaged .*doctor --repair"):
        storage_of(tmp_path).drain()
        storage_of(tmp_path).prune()
    assert not layout_in(tmp_path).damaged_files()


def test_bots_that_find_the_damage_at_once_set_it_aside_once(tmp_path: Path) -> None:
    """Of several processes one makes the new database; the others see that it is sound, and go on in it."""
    database = made(tmp_path)
    spoil(database)
    bots = [start(MEND, tmp_path) for _ in range(4)]
    for one in bots:
        finish(one)
    assert len(list(tmp_path.glob("metrics.db.damaged-*Z"))) == 1
    storage_of(tmp_path).drain()
    assert numbers(database) == [-1] * 4 + list(range(60))


def test_a_bot_that_waited_leaves_the_new_database(tmp_path: Path) -> None:
    """Who met the damage and gets its turn when another process has mended it looks again, and sets nothing aside."""
    database = made(tmp_path)
    spoil(database)
    with pytest.warns(RuntimeWarning, match="was damaged"):
        storage_of(tmp_path, in_bot=True).drain()
    before = database.stat().st_ino
    layout = layout_in(tmp_path)
    assert set_damaged_aside(layout, FileLock(layout.drain_lock)) == ("", None)
    assert database.stat().st_ino == before


def test_a_write_ahead_log_without_its_database_is_kept(tmp_path: Path) -> None:
    """Where the database is emptied or gone SQLite would delete the log beside it: a desk says that it is damaged, a bot keeps it and begins anew."""
    database = made(tmp_path / "living")
    with storage_of(tmp_path / "living").reading():
        run(BOT, tmp_path / "living", "10", "1000")
        for harm in ("emptied", "gone"):
            shutil.copytree(tmp_path / "living", tmp_path / harm)
    assert database.exists()
    os.truncate(tmp_path / "emptied" / "metrics.db", 0)
    (tmp_path / "gone" / "metrics.db").unlink()
    for harm in ("emptied", "gone"):
        folder = tmp_path / harm
        log = (folder / "metrics.db-wal").read_bytes()
        assert len(log) > 10_000
        for command in ("sessions", "doctor"):
            status, said = desk(command, "--database", folder / "metrics.db")
            assert status == 3
            assert "it is empty beside its write-ahead log" in said
        assert (folder / "metrics.db-wal").read_bytes() == log
        finish(start(MEND, folder))
        (aside,) = folder.glob("metrics.db.damaged-*-wal")
        assert aside.read_bytes() == log
        assert numbers(folder / "metrics.db") == sorted([-1, *range(60), *range(10)])


@needs_faults
def test_a_bot_that_may_rename_nothing_records_on(tmp_path: Path) -> None:
    """Where the database can not be set aside it stays, the bot is warned as of any fault, and the log keeps everything."""
    database = made(tmp_path)
    spoil(database)
    faults = faults_in(tmp_path)
    faults.fail("metrics.db", Operation.RENAME, errno.EACCES, times=FOREVER)
    process = start(MEND, tmp_path, "errors", **faults.variables)
    _, complaint = process.communicate(timeout=60)
    assert faults.hit > 0
    assert "RuntimeWarning" in complaint
    assert f"{database} is damaged" in complaint
    assert not layout_in(tmp_path).damaged_files()
    finish(start(MEND, tmp_path))
    assert numbers(database) == [-1, -1, *range(60)]


@needs_faults
@pytest.mark.parametrize("kills", [12, pytest.param(120, marks=pytest.mark.long)])
def test_a_mending_that_is_killed_is_completed(tmp_path: Path, kills: int) -> None:
    """Kill -9 at any call to the system while a bot sets aside and makes anew: the next bot ends it, nothing is lost or twice."""
    made(tmp_path / "original")
    spoil(tmp_path / "original" / "metrics.db")
    damaged = (tmp_path / "original" / "metrics.db").read_bytes()
    faults = faults_in(tmp_path)
    shutil.copytree(tmp_path / "original", tmp_path / "whole")
    faults.count("whole/metrics.db", EVERY)
    finish(start(MEND, tmp_path / "whole", **faults.variables))
    calls = faults.seen
    killed = 0
    for number in range(kills):
        folder = tmp_path / f"case{number}"
        shutil.copytree(tmp_path / "original", folder)
        faults.kill(f"{folder.name}/metrics.db", EVERY, first=1 + number * calls // kills, after=number % 2 == 1)
        process = start(MEND, folder, **faults.variables)
        process.communicate(timeout=60)
        killed += process.returncode == KILLED
        faults.heal()
        finish(start(MEND, folder))
        found = numbers(folder / "metrics.db")
        assert found[found.count(-1) :] == list(range(60)), number
        assert 1 <= found.count(-1) <= 2
        assert is_sound(folder / "metrics.db")
        assert storage_of(folder).account().missing == 0
        assert damaged in [path.read_bytes() for path in folder.glob("metrics.db.damaged-*Z")]
    print(f"{killed} killed at {calls} calls")
    assert killed >= kills - 1


# --- what a rebuild honours -------------------------------------------------------------------------------------------------


def test_a_rebuild_honours_retention(tmp_path: Path) -> None:
    """Rows that were too old do not come back with the log that still has them."""
    clock = SteppedClock(time.time() - 40 * DAY_S)
    with temporary_service(tmp_path, clock=clock, retention_days=30, strict=False) as service:
        with service.timer("old", 1, 2, "ai_processing"):
            pass
        clock.advance(39 * DAY_S)
        with service.timer("young", 1, 2, "ai_processing"):
            pass
        service.flush()
        service.storage.prune()
        assert [row["session_id"] for row in rows(service, "processing_metrics")] == ["young"]
        spoil(service.settings.database)
        with service.timer("new", 1, 2, "ai_processing"), pytest.warns(RuntimeWarning, match="was damaged"):
            service.flush()
        service.flush()
        assert sorted(row["session_id"] for row in rows(service, "processing_metrics")) == ["new", "young"]


def test_a_rebuild_from_later_logs_misses_nothing(tmp_path: Path) -> None:
    """Where the first logs are gone the account begins with what is there, and does not call the others missing."""
    database = made(tmp_path, backups=2)
    spoil(database)
    finish(start(MEND, tmp_path))
    storage = storage_of(tmp_path)
    assert len(numbers(database)) < 60
    account = storage.account()
    assert (account.missing, account.emitted) == (0, account.stored)


def test_a_rebuild_honours_tombstones(tmp_path: Path) -> None:
    """What logs still tell of a forgotten person does not come into the new tables."""
    storage = make_people(tmp_path)
    layout = storage.layout
    key = load_key(layout, None)
    bury(layout, IdHasher(key), ANNA, time.time_ns())
    for path in (layout.database, *layout.damaged_files()):
        path.unlink()
    storage.drain()
    assert counts(layout.database)["processing_metrics"] > 50
    assert [one for one in traces_of(tmp_path, ANNA, key) if not one.startswith(("bytes", "number", "metrics."))] == []


# --- at a desk ------------------------------------------------------------------------------------------------------------

TABLES = ("processing_metrics", "system_metrics", "sessions", "logs", "spans")


def counts(database: Path) -> dict[str, int]:
    return {table: count(database, table) for table in TABLES}


def test_repair_brings_back_rows_that_no_log_has(tmp_path: Path) -> None:
    """What is older than the logs is copied from the damaged database around the page that can not be read; a second repair has nothing to do."""
    database = made(tmp_path, sessions=200, backups=2)
    before = counts(database)
    page = database.read_bytes().index(b"Znumber40{}") // 4096
    with database.open("r+b") as file:
        file.seek(page * 4096)
        file.write(bytes(4096))
    status, said = desk("doctor", "--repair", "--database", database)
    assert status == 0, said
    assert "rows copied from metrics.db.damaged-" in said
    assert "places could not be read" in said
    after = counts(database)
    assert before["system_metrics"] - 100 < after["system_metrics"] < before["system_metrics"]
    assert {**after, "system_metrics": 0} == {**before, "system_metrics": 0}
    assert len(set(numbers(database))) == len(numbers(database))
    status, said = desk("doctor", "--repair", "--database", database)
    assert status == 0
    assert "there was nothing to do" in said
    assert counts(database) == after


def test_repair_brings_back_the_rest_after_a_bot_has_mended(tmp_path: Path) -> None:
    """What the bot set aside by itself is looked through: all rows that there were are there again, once."""
    database = made(tmp_path, sessions=200, backups=2)
    before = counts(database)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE counters SET name = 'sEq' WHERE name = 'seq'")
    finish(start(MEND, tmp_path))
    assert layout_in(tmp_path).damaged_files()
    assert count(database, "sessions") < 200
    status, said = desk("doctor", "--repair", "--database", database)
    assert status == 0, said
    assert numbers(database) == [-1, *range(200)]
    assert counts(database) == {**before, "system_metrics": 201}


def test_repair_does_not_take_a_damaged_row_for_another_one(tmp_path: Path) -> None:
    """Rows without a key, whose texts or times are damaged, do not come back beside the sound ones that the log has."""
    database = made(tmp_path)
    yesterday = iso(time.time_ns() - DAY_S * 10**9)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE logs SET message = 'a stop' WHERE id = 7")
        connection.execute("UPDATE logs SET timestamp = ? WHERE id = 9", (yesterday,))
        connection.execute("UPDATE system_metrics SET timestamp = ?, value = '99' WHERE id = 30", (yesterday,))
        connection.execute("UPDATE counters SET name = 'sEq' WHERE name = 'seq'")
    assert desk("doctor", "--repair", "--database", database)[0] == 0
    assert numbers(database) == list(range(60))
    assert {row["message"] for row in rows(database, "logs")} == {"a step"}
    assert count(database, "logs") == 60


def test_repair_copies_nobody_who_was_forgotten(tmp_path: Path) -> None:
    """From a database that was set aside, people who were forgotten since are left where they are."""
    storage = make_people(tmp_path)
    layout = storage.layout
    for path in layout.damaged_files():
        path.unlink()
    copy = layout.database.with_name("metrics.db.damaged-20260101T000000.000000Z")
    with closing(sqlite3.connect(layout.database)) as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "copy"),))
    storage.forget(ANNA)
    forgotten = counts(layout.database)
    (tmp_path / "copy").rename(copy)
    with closing(sqlite3.connect(layout.database)) as connection, connection:
        for table in TABLES:
            connection.execute(f"DELETE FROM {table}")
    storage.repair()
    assert counts(layout.database)["processing_metrics"] >= forgotten["processing_metrics"] > 50
    for table, names in tables_with_people(layout.database).items():
        for name in names:
            assert rows(layout.database, table, f"{name} = ?", ANNA) == [], (table, name)


def tables_with_people(database: Path) -> dict[str, list[str]]:
    """Columns that hold ids of people, by table."""
    with closing(sqlite3.connect(database)) as connection:
        columns = {table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] for table in TABLES}
    return {table: [name for name in names if name in {"user_id", "chat_id"}] for table, names in columns.items()}


def test_repair_tidies_up(tmp_path: Path) -> None:
    """Files become private, drafts of dead processes go; those that are young, of the living or of others stay."""
    folder = tmp_path / "store"
    database = made(folder)
    database.chmod(0o644)
    folder.chmod(0o755)
    dead = finish(start("import os; print(os.getpid())", tmp_path)).strip()
    long_ago = time.time() - 3600
    drafts = {}
    for name, age in {
        f".metrics.jsonl.{dead}.1": long_ago, f".metrics.db.key.{dead}.00ff": long_ago, ".metrics.jsonl.000001.rewrite": long_ago,
        f".metrics.jsonl.{os.getpid()}.1": long_ago, f".metrics.jsonl.{dead}.2": time.time(), ".somebody.elses": long_ago,
    }.items():  # fmt: skip
        drafts[name] = folder / name
        drafts[name].write_bytes(b"x")
        os.utime(drafts[name], (age, age))
    status, said = desk("doctor", "--repair", "--database", database)
    assert status == 0, said
    assert (database.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path.exists() for path in drafts.values()] == [False, False, False, True, True, True]
    (folder / "of somebody else").touch()
    folder.chmod(0o755)
    assert "nothing to do" in desk("doctor", "--repair", "--database", database)[1]
    assert folder.stat().st_mode & 0o777 == 0o755


def test_doctor_lists_what_was_set_aside(tmp_path: Path) -> None:
    """As information, with its size and what to do about it: that alone is nothing wrong."""
    database = made(tmp_path)
    spoil(database)
    assert desk("doctor", "--database", database)[0] == 3
    finish(start(MEND, tmp_path))
    overwritten = database.read_bytes()
    database.write_bytes(b"no database")
    assert "copies what can still be read" in desk("doctor", "--database", database)[1]
    database.write_bytes(overwritten)
    status, said = desk("doctor", "--database", database)
    assert status == 0, said
    assert "is damaged: `otel-metrics doctor --repair` copies what can still be read" in said
    desk("doctor", "--repair", "--database", database)
    status, said = desk("doctor", "--database", database)
    assert status == 0
    assert "rows were copied from it, remove it when nothing else is wanted of it" in said


def test_a_damaged_key_is_named(tmp_path: Path) -> None:
    """The doctor names the key's file, with status 3, and a repair leaves it: nothing can make it anew."""
    database = made(tmp_path)
    key = layout_in(tmp_path).key_file
    key.write_bytes(b"short")
    for arguments in (("doctor",), ("doctor", "--repair")):
        status, said = desk(*arguments, "--database", database)
        assert status == 3
        assert f"the key file {key} has not 32 bytes" in said
    assert key.read_bytes() == b"short"
    with pytest.raises(StoreDamaged, match=r"metrics\.db\.key"):
        otel_metrics.configure(database=database, log_file=tmp_path / "metrics.jsonl")
