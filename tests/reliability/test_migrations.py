"""Databases of other versions: newer ones are left alone, older ones are brought up to date, whatever kills that when."""

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.desk import desk
from support.faults import EVERY, KILLED, Faults, faults_in, needs_faults
from support.processes import finish, run, start
from support.stores import SEED_TABLES, count, rows

from otel_metrics.model.times import iso
from otel_metrics.store.database import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION, statements, writing
from otel_metrics.store.soundness import fault_in

ROWS = 1500
OPEN = """
import sys
from pathlib import Path
from otel_metrics.store.database import writing
with writing(Path(sys.argv[1])):
    pass
"""


def add_rows(connection: sqlite3.Connection, *more: str) -> None:
    """Stages of now, and a value for each; `more` are columns that count the rows."""
    now = iso(time.time_ns())
    names = ", ".join(
        ("metric_id", "session_id", "user_id", "chat_id", "stage", "start_time", "end_time", "success", *more)
    )
    connection.executemany(
        f"INSERT INTO processing_metrics ({names}) VALUES (?, ?, 1, 2, 'ai_processing', ?, ?, 1{', ?' * len(more)})",
        [(f"m{n:06}", f"s{n // 9}", now, now, *[n] * len(more)) for n in range(1, ROWS + 1)],
    )
    names = ", ".join(("timestamp", "metric_type", "value", *more))
    connection.executemany(
        f"INSERT INTO system_metrics ({names}) VALUES (?, 'cpu', ?{', ?' * len(more)})",
        [(now, str(n), *[n] * len(more)) for n in range(1, ROWS + 1)],
    )


def make_first_schema(path: Path) -> None:
    """A database as the first version of the program left it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN")
        for statement in statements(MIGRATIONS[0][1]):
            connection.execute(statement)
        add_rows(connection, "seq")
        connection.execute("UPDATE counters SET value = ? WHERE name = 'seq'", (ROWS,))
        connection.execute("PRAGMA user_version = 1")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
    path.chmod(0o600)


def make_seed(path: Path) -> None:
    """A database of the program that was there before this one."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SEED_TABLES)
        add_rows(connection)
    path.chmod(0o600)


OLD = pytest.mark.parametrize(
    ("make", "version"), [(make_first_schema, 1), (make_seed, 0)], ids=["first schema", "seed"]
)
Make = Callable[[Path], None]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# --- newer ----------------------------------------------------------------------------------------------------------------

COMMANDS = [
    ("dashboard",), ("alerts",), ("sessions",), ("queue",), ("sql", "SELECT 1"), ("prune",), ("doctor",), ("doctor", "--repair"),
    ("export", "sessions", "--output", "/dev/null/out.csv"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_newer_database_is_left_as_it_is(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Of a database of a later version every command says so, with both versions, and no byte of it changes: not even a repair's."""
    folder = tmp_path / "store"
    run('import otel_metrics as m\nm.record_system_metric("cpu", 1)\nm.shutdown()\n', folder)
    with closing(sqlite3.connect(folder / "metrics.db")) as connection, connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = content(folder)
    status, said = desk(*arguments, "--database", folder / "metrics.db")
    assert status == 4, said
    assert f"schema {SCHEMA_VERSION + 1}" in said
    assert "install the newer otel_metrics" in said
    after = content(folder)
    assert {name: after.get(name) for name in before} == before
    assert {name for name in after.keys() - before.keys() if after[name]} <= {"metrics.db-shm"}  # by who only reads


# --- older ----------------------------------------------------------------------------------------------------------------


@OLD
def test_an_older_database_is_brought_up_to_date(tmp_path: Path, make: Make, version: int) -> None:
    """The first question migrates it, all rows stay and are in the answers."""
    del version
    path = tmp_path / "metrics.db"
    make(path)
    query = "SELECT count(*) AS n FROM processing_metrics"
    assert desk("sql", query, "--database", path, "--format", "json") == (0, f'[ {{ "n": {ROWS} }} ]')
    check(path, {SCHEMA_VERSION})


@OLD
def test_an_older_database_that_may_not_be_written_is_said_to_be_older(
    tmp_path: Path, make: Make, version: int
) -> None:
    """Before it is brought up to date the doctor calls it older, and not damaged."""
    path = tmp_path / "metrics.db"
    make(path)
    status, said = desk("doctor", "--database", path)
    assert status == 1
    assert "damaged" not in said
    assert f"schema {version}" in said or "no tables yet" in said


def test_a_bot_fills_an_older_database_further(tmp_path: Path) -> None:
    """A bot of this version records into it, beside the rows that were there."""
    make_first_schema(tmp_path / "metrics.db")
    run('import otel_metrics as m\nwith m.timer("s", 1, 2, "ai_processing"): pass\nm.shutdown()\n', tmp_path)
    assert count(tmp_path / "metrics.db", "processing_metrics") == ROWS + 1
    (ledger,) = rows(tmp_path / "metrics.db", "ledgers")
    assert (ledger["base"], ledger["stored"]) == (0, ledger["last"])


# --- killed ---------------------------------------------------------------------------------------------------------------


def check(path: Path, versions: set[int]) -> int:
    """The database is of one of these versions, whole, with all its rows; gives the version."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        assert version in versions
        assert fault_in(connection) == ""
        for table in ("processing_metrics", "system_metrics"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (ROWS,)
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert not [table for table in tables if table.startswith("seed_")]
    assert ("sessions" in tables) == (version > 0)
    assert ("ledgers" in tables) == (version > 1)
    return version


def calls_of(faults: Faults, original: Path, folder: Path) -> int:
    """How often a migration from end to end turns to the system over files of the database."""
    shutil.copy(original, folder / "whole.db")
    faults.count("whole.db", EVERY)
    finish(start(OPEN, folder, str(folder / "whole.db"), **faults.variables))
    return faults.seen


@needs_faults
@OLD
@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.long)])
def test_a_migration_that_is_killed_is_done_or_not_done(tmp_path: Path, make: Make, version: int, kills: int) -> None:
    """Kill -9 at any call to the system leaves the old schema or the new one, whole, with every row; the next opening completes it."""
    make(tmp_path / "original.db")
    faults = faults_in(tmp_path)
    calls = calls_of(faults, tmp_path / "original.db", tmp_path)
    left: Counter[int] = Counter()
    for number in range(kills):
        path = tmp_path / f"{number}.db"
        shutil.copy(tmp_path / "original.db", path)
        faults.kill(f"/{path.name}", EVERY, first=1 + number * calls // kills, after=number % 2 == 1)
        process = start(OPEN, tmp_path, str(path), **faults.variables)
        process.communicate(timeout=60)
        faults.heal()
        assert process.returncode == KILLED
        left[check(path, {version, SCHEMA_VERSION})] += 1
        with writing(path):
            pass
        check(path, {SCHEMA_VERSION})
    print(f"{kills} kills over {calls} calls: schema left {dict(left)}")
    assert left[version] > 0
