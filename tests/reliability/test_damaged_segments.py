"""Damage to segments, and segments of a database that was lost: files are named, kept and set aside, and no row is lost or doubled that is left."""

import json
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from support.cli import real
from support.desk import desk
from support.faults import KILLED, Operation, faults_in, needs_faults
from support.people import ANNA, make_people
from support.processes import finish, start
from support.stores import count, rows
from support.tiers import Views, move, segment_files, storage_in, views_of

from otel_metrics.analytics.cold_store import ColdStore
from otel_metrics.analytics.engine import Engine
from otel_metrics.store.moving import TIME_OF
from otel_metrics.store.segments import listed
from otel_metrics.store.tables import MetricsStorage

PLAY = """
    import sys, otel_metrics as m
    m.configure(log_max_bytes=20_000, log_backups=1000, retention_days=0)
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        session = m.create_session(number, -number, note=f"session {number}")
        at = 1_750_000_000 + number * 20_000
        m.record_stage(session, number, -number, "ai_processing", start_time=at, end_time=at + 1, number=number)
        m.get_logger().info("step", "a step", number=number)
        m.record_correction(session, 7, f"m{number}", "text_correction", "a draft", "a better draft", 1000 + number)
        m.record_system_metric("number", number)
        if number % 10:
            m.end_session(session)
    m.get_metrics_service().flush()
"""
ASK = "SELECT count(*), max(metadata), max(error_message), max(metric_id), max(span_id), max(end_time), max(model) FROM processing_metrics"
HARMS = ("missing", "empty", "cut", "magic", "footer", "bit", "zeros", "longer")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with rows of several days in segments, some of them retired, and some in its tables."""
    folder = tmp_path_factory.mktemp("pristine") / "store"
    for first in (0, 30):
        finish(start(PLAY, folder, str(first), str(first + 30)))
        move(storage_in(folder))
    finish(start(PLAY, folder, "60", "70"))
    storage_in(folder).drain(10)
    return folder


@pytest.fixture
def store(pristine: Path, tmp_path: Path) -> MetricsStorage:
    """A copy of it, to damage."""
    return copy_of(pristine, tmp_path / "store")


def copy_of(folder: Path, to: Path) -> MetricsStorage:
    shutil.copytree(folder, to)
    return storage_in(to)


def harm(path: Path, how: str, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    size = len(content)
    if how == "missing":
        path.unlink()
        return
    if how in {"cut", "empty"}:
        del content[0 if how == "empty" else chance.randrange(1, size) :]
    elif how == "magic":
        content[chance.choice([0, size - 1])] ^= 1
    elif how == "footer":
        content[size - 9 - chance.randrange(200)] ^= 1 << chance.randrange(8)
    elif how == "bit":
        content[chance.randrange(4, size - 300)] ^= 1 << chance.randrange(8)
    elif how == "zeros":
        begin = chance.randrange(size - 20)
        content[begin : begin + 200] = bytes(len(content[begin : begin + 200]))
    else:
        content += b"PAR1"
    path.write_bytes(content)


def ask(storage: MetricsStorage, *arguments: object) -> tuple[int, str]:
    return desk(*arguments, "--database", storage.layout.database)


@pytest.mark.parametrize("rounds", [16, pytest.param(400, marks=pytest.mark.long)])
def test_damaged_segment_is_named_set_aside_and_counted(
    pristine: Path, tmp_path: Path, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens to a segment, doctor names it with exit status 3, a question over it ends so too or is answered, other tables are answered; after a repair all questions are, what is gone is counted, and the file is kept."""
    monkeypatch.setenv("METRICS_RETENTION_DAYS", "0")
    chance = random.Random(23)
    outcomes: Counter[str] = Counter()
    for number in range(rounds):
        storage = copy_of(pristine, tmp_path / str(number))
        with storage.reading() as connection:
            one = chance.choice([one for one in listed(connection) if one.table == "processing_metrics"])
        path, how = storage.layout.segments_folder / one.name, HARMS[number % len(HARMS)]
        harm(path, how, chance)
        before = path.read_bytes() if path.exists() else None

        status, said = ask(storage, "doctor")
        assert (status, one.name in said, "doctor --repair" in said) == (3, True, True), said
        status, said = ask(storage, "sql", ASK)
        outcomes[f"{how} {status}"] += 1
        assert status in {0, 3}
        if status == 3:
            assert str(path) in said, said
            assert "doctor --repair" in said
        assert ask(storage, "sql", "SELECT count(*) FROM logs")[0] == 0
        assert ask(storage, "sessions", "--hours", "100000")[0] in {0, 3}

        status, said = ask(storage, "doctor", "--repair")
        assert status == 0, said
        assert one.name in said
        assert f"{one.rows:,} rows are gone with it" in said
        status, said = ask(storage, "sql", "SELECT count(*) AS n FROM processing_metrics", "--format", "json")
        assert (status, json.loads(said)) == (0, [{"n": 70 - one.rows}])
        assert [(row["reason"], row["what"], row["count"]) for row in rows(storage.layout.database, "removals")] == [
            ("damaged", "rows of processing_metrics", one.rows)
        ]
        kept = list(storage.layout.segments_folder.glob(f"{one.name}.damaged-*"))
        assert [file.read_bytes() for file in kept] == ([] if before is None else [before])
        assert ask(storage, "dashboard", "--hours", "100000")[0] == 0
        shutil.rmtree(tmp_path / str(number))
    print(outcomes)
    assert all(outcomes[f"{how} 3"] for how in ("missing", "empty", "cut", "magic"))


def test_every_command_names_the_file(store: MetricsStorage, tmp_path: Path) -> None:
    """In a real process a question, an export and doctor end with 3 and one line; a repair with 0, and once more with nothing to do."""
    (path, *_) = (
        one for one in segment_files(store) if one.name.startswith("processing_metrics") and in_manifest(store, one)
    )
    path.write_bytes(path.read_bytes()[:1000])
    folder = store.layout.database.parent
    for command in (
        ("dashboard", "--hours", "99999"),
        ("sql", ASK),
        ("export", "processing_metrics", "--output", tmp_path / "out.csv"),
    ):
        done = real(*command, folder=folder, METRICS_RETENTION_DAYS="0")
        assert (done.returncode, done.stderr.count("\n")) == (3, 1), (command, done)
        assert path.name in done.stderr
    assert (
        real("export", "logs", "--output", tmp_path / "logs.csv", folder=folder, METRICS_RETENTION_DAYS="0").returncode
        == 0
    )
    assert real("doctor", "--repair", folder=folder, METRICS_RETENTION_DAYS="0").returncode == 0
    done = real("doctor", "--repair", folder=folder, METRICS_RETENTION_DAYS="0")
    assert (done.returncode, "there was nothing to do" in done.stdout) == (0, True)


def in_manifest(storage: MetricsStorage, path: Path) -> bool:
    with storage.reading() as connection:
        return path.name in {one.name for one in listed(connection)}


def test_reader_that_lives_on_learns_of_a_repair(store: MetricsStorage) -> None:
    """A process that keeps its answers in memory answers again as soon as a repair has set the broken segment aside."""
    engine = Engine(store)
    engine.refresh()
    (path, *_) = (one for one in segment_files(store) if one.name.startswith("sessions") and in_manifest(store, one))
    path.unlink()
    store.repair(ColdStore)
    assert engine.run("SELECT count(*) FROM sessions").rows[0][0] < 70
    engine.close()


# --- the database is lost ------------------------------------------------------------------------------------------------


def without_numbers(views: Views) -> dict[str, Counter[str]]:
    """The rows without the numbers that logs and values have in one database, and without who wrote."""
    kept = {name: found for name, found in views.items() if name not in {"processes", "running"}}
    for name in ("logs", "system_metrics"):
        kept[name] = Counter({row.partition(", ")[2]: n for row, n in kept[name].items()})
    return kept


def cold_rows(storage: MetricsStorage) -> Views:
    """What of it is in segments."""
    engine = Engine(storage)
    with closing(engine):
        engine.refresh()
        return without_numbers({name: Counter(map(repr, engine.run(f"FROM cold.{name}").rows)) for name in TIME_OF})


def ruin(database: Path) -> None:
    """So that only what lies beside it is left."""
    for end in ("-wal", "-shm"):
        database.with_name(f"{database.name}{end}").unlink(missing_ok=True)
    database.write_bytes(b"no database at all" * 1000)


@pytest.mark.parametrize("logs_left", [0, 3, 1000])
@pytest.mark.parametrize("by", ["doctor", "question"])
def test_segments_of_a_lost_database_are_taken_over(
    store: MetricsStorage, logs_left: int, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the log still has all, some or nothing of what is in segments: the database that is made anew has every row once that is in either."""
    monkeypatch.setenv("METRICS_RETENTION_DAYS", "0")
    before, cold = without_numbers(views_of(store)), cold_rows(store)
    logs = store.layout.rotated_files()
    assert len(logs) > 3
    for path in logs[: max(0, len(logs) - logs_left)]:
        path.unlink()
    ruin(store.layout.database)
    if by == "doctor":
        status, said = ask(store, "doctor", "--repair")
        assert status == 0, said
        assert "segments of an earlier database taken over" in said
    else:
        finish(
            start(
                "import warnings, otel_metrics as m\nwarnings.simplefilter('ignore')\nm.get_metrics_service().flush()",
                store.layout.database.parent,
                METRICS_RETENTION_DAYS="0",
                METRICS_LOG_BACKUPS="1000",
            )
        )
        status, said = ask(store, "sql", "SELECT count(*) FROM logs")
        assert (status, "rows of an earlier database were taken over" in said) == (0, True), said
    after = without_numbers(views_of(store))
    for name in cold:
        assert cold[name] <= after[name], name
        # A session whose beginning is lost is known by its stages alone.
        assert name == "sessions" or after[name] <= before[name], name
    if logs_left == 1000:
        assert after == before
    sessions = Counter(row.partition(",")[0] for row in after["sessions"].elements())
    assert set(sessions.values()) == {1}
    with store.reading() as connection:
        known = {one.name for one in listed(connection)} | {
            row[0] for row in connection.execute("SELECT name FROM retired_segments")
        }
    assert {path.name for path in segment_files(store)} == known
    assert len(rows(store.layout.database, "archived_sessions")) >= 54
    move(store)
    assert without_numbers(views_of(store)) == after
    status, said = ask(store, "doctor", "--repair")
    assert "taken over" not in said


@needs_faults
@pytest.mark.parametrize("rounds", [6, pytest.param(200, marks=pytest.mark.long)])
def test_taking_over_that_is_killed_is_completed_by_the_next(pristine: Path, tmp_path: Path, rounds: int) -> None:
    """Killed at any call, it leaves every row once; the next one goes on."""
    lost = copy_of(pristine, tmp_path / "lost")
    before = without_numbers(views_of(lost))
    ruin(lost.layout.database)
    faults = faults_in(tmp_path)
    operations = Operation.OPEN | Operation.WRITE | Operation.RENAME | Operation.UNLINK
    faults.count("metrics.db", operations)
    whole = copy_of(lost.layout.database.parent, tmp_path / "whole")
    done = real(
        "doctor", "--repair", folder=whole.layout.database.parent, METRICS_RETENTION_DAYS="0", **faults.variables
    )
    assert done.returncode == 0, done
    assert without_numbers(views_of(whole)) == before
    calls, killed = faults.seen, 0
    for number in range(rounds):
        storage = copy_of(lost.layout.database.parent, tmp_path / str(number))
        faults.kill(
            "metrics.db", operations, first=calls // 5 + (calls * 4 // 5) * number // rounds, after=number % 2 == 0
        )
        killed += (
            real(
                "doctor", "--repair", folder=tmp_path / str(number), METRICS_RETENTION_DAYS="0", **faults.variables
            ).returncode
            == KILLED
        )
        faults.heal()
        done = real("doctor", "--repair", folder=tmp_path / str(number), METRICS_RETENTION_DAYS="0")
        assert done.returncode == 0, done
        assert without_numbers(views_of(storage)) == before
        shutil.rmtree(tmp_path / str(number))
    print(f"{killed} kills within {calls} calls")
    assert killed > rounds // 2


def test_people_who_were_forgotten_do_not_come_back_with_segments(tmp_path: Path) -> None:
    """Segments of before, which lie beside a new database, are taken over without those whom a tombstone names; what came later stays."""
    make_people(tmp_path)
    storage = storage_in(tmp_path)
    for path in storage.layout.damaged_files():
        path.unlink()
    move(storage)
    old = tmp_path.parent / f"{tmp_path.name}-old"
    shutil.copytree(storage.layout.segments_folder, old)
    storage.forget(ANNA, ColdStore)
    expected = views_of(storage)["sessions"].total()
    for path in segment_files(storage):
        path.unlink()
    for path in old.iterdir():
        shutil.copy(path, storage.layout.segments_folder)
    ruin(storage.layout.database)
    for path in [*storage.layout.rotated_files(), storage.layout.log_file]:
        path.unlink()
    status, said = ask(storage, "doctor", "--repair")
    assert status in {0, 1}, said  # 1 for lines that could not be read
    engine = Engine(storage)
    engine.refresh()
    for table in ("sessions", "processing_metrics"):
        assert engine.run(f"SELECT count(*) FROM {table} WHERE {ANNA} IN (user_id, chat_id)").rows == [(0,)]
    assert 0 < engine.run("SELECT count(*) FROM sessions").rows[0][0] <= expected
    engine.close()


def test_damaged_segment_of_a_lost_database_is_set_aside(store: MetricsStorage) -> None:
    """Of the segments beside a new database those that are not sound are kept under another name, and the rest is taken over."""
    (path, *_) = (one for one in segment_files(store) if one.name.startswith("spans"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 2
    path.write_bytes(content)
    ruin(store.layout.database)
    done = real("doctor", "--repair", folder=store.layout.database.parent, METRICS_RETENTION_DAYS="0")
    assert done.returncode == 0, done
    assert f"{path.name}.damaged-" in done.stdout.replace("\n", "").replace(" ", "")
    with closing(sqlite3.connect(store.layout.database)) as connection:
        assert connection.execute("SELECT count(*) FROM segments").fetchone()[0] > 3
    assert count(store.layout.database, "processing_metrics") + 0 < 70
