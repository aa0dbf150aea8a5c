"""Forgetting a person: nothing of them stays in any file, and nothing of anybody else goes."""

import json
import os
import random
import shutil
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.people import (
    ANNA,
    BERT,
    EVERYBODY,
    GROUP,
    MODERATOR,
    PRUNED,
    PRUNED_NAME,
    SLACK,
    STRANGERS,
    Tables,
    make_people,
    names_in,
    tables,
    traces_of,
)
from support.processes import TIMEOUT_S, finish, start
from support.stores import count, rows

from otel_metrics import MetricsService
from otel_metrics.errors import SettingError, StoreError
from otel_metrics.model.identity import IdHasher, as_integer_id
from otel_metrics.model.records import SessionBegin, encode_line
from otel_metrics.model.times import iso
from otel_metrics.settings import Settings, load
from otel_metrics.store import writers
from otel_metrics.store.cursor import Cursor, load_cursor, save_cursor
from otel_metrics.store.forget import forget
from otel_metrics.store.journal import Journal
from otel_metrics.store.journal_files import read_header
from otel_metrics.store.key import load_key
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.rewriting import Positions
from otel_metrics.store.tables import MetricsStorage

BOT = """
    import sys, threading, otel_metrics
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    number = 0
    while not ended.wait(0.0005):
        with otel_metrics.timer(f"live {number}", 777000111, 777000111, "ai_processing", number=number):
            otel_metrics.record_system_metric("live", number)
        number += 1
        if number == 50:
            print("runs", flush=True)
    otel_metrics.shutdown()
    print(number)
"""
FORGETTER = """
    import os, signal, sys
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
    storage.forget(sys.argv[1])
    sys.setprofile(None)
    print(left)
"""
LIVE = 777000111


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of many people, to copy."""
    folder = tmp_path_factory.mktemp("crowd")
    make_people(folder)
    return folder


@pytest.fixture
def people(crowd: Path, tmp_path: Path) -> MetricsStorage:
    """A store of many people, to change."""
    return copy_of(crowd, tmp_path / "store")


def copy_of(crowd: Path, folder: Path) -> MetricsStorage:
    shutil.copytree(crowd, folder)
    settings = load({"database": folder / "metrics.db", "log_file": folder / "metrics.jsonl", "log_backups": 1000}, {})
    return MetricsStorage(StoreLayout(settings.database, settings.log_file), settings)


def key_of(storage: MetricsStorage) -> bytes:
    return load_key(storage.layout, None)


def of_nobody_in(before: Tables, *marks: object) -> Tables:
    """The rows that have nothing to do with a person, by the marks that they carry all over."""
    return {
        table: [row for row in table_rows if not any(str(mark) in json.dumps(row, default=str) for mark in marks)]
        for table, table_rows in before.items()
        if table not in {"journal_files", "counters", "ledgers", "processes", "sqlite_sequence"}
    }


@pytest.mark.parametrize("user", [ANNA, str(BERT), MODERATOR, SLACK])
def test_nothing_of_a_forgotten_person_stays(people: MetricsStorage, user: int | str) -> None:
    """A user, a moderator or a Slack user stands afterwards in no row, no line and no byte of any file, while a bot goes on for others."""
    folder = people.layout.database.parent
    person = int(user) if user == str(BERT) else user
    before = traces_of(folder, person, key_of(people))
    places = {trace.partition(":")[0] for trace in before}
    assert {"sessions", "logs", "system_metrics", "bytes of metrics.rejected", "bytes of metrics.db"} <= places
    assert any("before" in place for place in places)
    assert any("jsonl.0000" in place for place in places)
    assert f"{PRUNED_NAME} {user}".encode() in people.layout.database.read_bytes()  # in a free page
    bot = start(BOT, folder, METRICS_DRAIN_INTERVAL="0.05")
    assert bot.stdout is not None
    assert bot.stdout.readline() == "runs\n"

    with closing(sqlite3.connect(people.layout.database)) as idle:  # without it SQLite would clean up by itself
        idle.execute("SELECT count(*) FROM sessions").fetchall()
        report = people.forget(user)
        assert traces_of(folder, person, key_of(people)) == []

    written = int(finish(bot))
    people.drain(10)
    assert traces_of(folder, person, key_of(people)) == []
    number = as_integer_id(person)[0]
    tombstones = [json.loads(line) for line in people.layout.tombstones_file.read_text().splitlines()]
    assert [one["hash"] for one in tombstones] == [IdHasher(key_of(people)).hash("forget", number)]
    assert len(report.files_removed) == 6
    numbers = [
        row["metadata"]["number"] for row in rows(people.layout.database, "processing_metrics", "user_id = ?", LIVE)
    ]
    assert sorted(numbers) == list(range(written))
    assert count_of_live_values(people) == written


def count_of_live_values(storage: MetricsStorage) -> int:
    return len(rows(storage.layout.database, "system_metrics", "metric_type = 'live'"))


@pytest.mark.parametrize("user", [ANNA, MODERATOR])
def test_rows_of_others_are_untouched(people: MetricsStorage, user: int) -> None:
    """Every row that does not name the person is afterwards exactly what it was, and so is every line of the log."""
    before = of_nobody_in(tables(people.layout.database), user)
    kept_lines = {line for path in people.layout.journal_files() for line in path.read_bytes().split(b"\n")}
    own_sessions = {row["session_id"] for row in rows(people.layout.database, "sessions", "user_id = ?", user)}

    people.forget(user)

    after = tables(people.layout.database)
    for table, kept in before.items():
        missing = [row for row in kept if row not in after[table] and row.get("session_id") not in own_sessions]
        assert missing == [], table
    assert sum(map(len, before.values())) > 150
    left = {line for path in people.layout.journal_files() for line in path.read_bytes().split(b"\n")}
    gone = [line for line in kept_lines - left if str(user).encode() not in line]
    assert [line for line in gone if not any(one.encode() in line for one in own_sessions)] == []


def test_own_sessions_are_deleted_whole(people: MetricsStorage) -> None:
    """A user's sessions go with their stages, corrections, spans and log lines, in the group as in private; others' stay."""
    before = tables(people.layout.database)
    own = {row["session_id"] for row in before["sessions"] if row["user_id"] == ANNA} - {"unknown"}
    assert len(own) == 10

    report = people.forget(ANNA)

    after = tables(people.layout.database)
    for table in ("sessions", "processing_metrics", "correction_metrics", "spans", "logs"):
        gone = [row for row in before[table] if row["session_id"] in own]
        assert gone or table == "running"
        assert [row for row in after[table] if row["session_id"] in own] == []
        shared = table == "processing_metrics"  # and the one without a session id
        assert report.deleted[table] == len(gone) + shared
    assert {row["session_id"] for row in before["sessions"]} - own <= {row["session_id"] for row in after["sessions"]}
    assert any(row["chat_id"] == GROUP for row in after["sessions"])


def test_moderators_of_others_sessions_become_nobody(people: MetricsStorage) -> None:
    """A moderator's id becomes 0 in corrections and stages and `[forgotten]` in texts; the facts of the work stay."""
    before = rows(people.layout.database, "correction_metrics", "admin_user_id = ?", MODERATOR)
    own = {row["session_id"] for row in rows(people.layout.database, "sessions", "user_id = ?", MODERATOR)}

    report = people.forget(MODERATOR)

    after = {row["correction_id"]: row for row in rows(people.layout.database, "correction_metrics")}
    expected = [row for row in before if row["session_id"] not in own]
    for row in expected:
        assert after[row["correction_id"]] == {
            **row, "admin_user_id": 0, "metadata": {"by": "admin_[forgotten]"}, "corrected_text": "a text of [forgotten]"
        }  # fmt: skip
    assert report.scrubbed["correction_metrics"] == len(expected) == 15
    stages = rows(people.layout.database, "processing_metrics", "stage = 'admin_review' AND user_id = 0")
    assert {row["error_message"] for row in stages} == {"moderator [forgotten] was late"}
    drafts = rows(people.layout.database, "processing_metrics", "stage = 'ai_processing'")
    assert [row["metadata"]["strangers"] for row in drafts] == [STRANGERS] * len(drafts)
    assert ["[forgotten]", {"id": 0}] in [row["metadata"]["seen_by"] for row in drafts]


def test_forgetting_again_changes_nothing(people: MetricsStorage) -> None:
    """A second run finds nothing, rewrites no file and leaves every row as it is."""
    people.forget(SLACK)
    before, names = tables(people.layout.database), names_in(people.layout.database.parent)
    inodes = {path.name: path.stat().st_ino for path in people.layout.rotated_files()}

    report = people.forget(SLACK)

    assert (report.deleted, report.scrubbed, report.files_rewritten, report.files_removed) == ({}, {}, [], [])
    assert tables(people.layout.database) == before
    assert {path.name: path.stat().st_ino for path in people.layout.rotated_files()} == inodes
    assert names_in(people.layout.database.parent) == names


def test_logs_are_rebuilt_into_the_same_tables(people: MetricsStorage) -> None:
    """Tables that are made anew from the rewritten logs have nobody back, and every writer's account is without a gap."""
    people.forget(ANNA)
    expected = tables(people.layout.database)
    for end in ("", "-wal", "-shm"):
        people.layout.database.with_name(f"metrics.db{end}").unlink(missing_ok=True)
    people.layout.rejected_file.unlink()

    people.drain(10)

    rebuilt = tables(people.layout.database)
    for table in ("sessions", "processing_metrics", "correction_metrics", "spans"):
        plain = [
            [
                {key: value for key, value in row.items() if key != "seq"}
                for row in one[table]
                if not row["session_id"].startswith((PRUNED, "unknown"))  # one was old, one is nobody's
            ]
            for one in (expected, rebuilt)
        ]
        assert plain[0] == plain[1], table
    assert traces_of(people.layout.database.parent, ANNA, key_of(people)) == []
    assert all(row["last"] == row["stored"] for row in rows(people.layout.database, "ledgers"))


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.long)])
def test_killed_forgetting_is_completed_by_the_next(crowd: Path, tmp_path: Path, rounds: int) -> None:
    """Killed at any moment, forgetting leaves a store that can be used; run again, it leaves nothing of the person."""
    chance = random.Random(5)
    killed, steps = 0, steps_of_a_whole_run(copy_of(crowd, tmp_path / "whole"))
    for number in range(rounds):
        folder = tmp_path / str(number)
        storage = copy_of(crowd, folder)
        others = of_nobody_in(tables(storage.layout.database), ANNA, "ANNA")
        own = {row["session_id"] for row in rows(storage.layout.database, "sessions", "user_id = ?", ANNA)} - {
            "unknown"
        }
        process = start(FORGETTER, folder, str(ANNA), str(chance.randrange(1, steps)))
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        process.communicate(timeout=TIMEOUT_S)
        killed += process.returncode == -9
        assert count(storage.layout.database, "sessions") >= 50

        storage.forget(ANNA)

        assert traces_of(folder, ANNA, key_of(storage)) == []
        assert [name for name in os.listdir(folder) if name.endswith(".rewrite")] == []
        assert sessions_in_logs(storage) & own == set()
        after = tables(storage.layout.database)
        for table, kept in others.items():
            assert [row for row in kept if row.get("session_id") not in own and row not in after[table]] == []
    assert killed == rounds
    print(f"{rounds} kills within {steps} steps")


def sessions_in_logs(storage: MetricsStorage) -> set[str]:
    found = set()
    for path in storage.layout.journal_files():
        for line in path.read_bytes().splitlines():
            with suppress(ValueError):
                found.add(json.loads(line).get("session_id"))
    return found


def test_stopped_forgetting_knows_whose_the_rest_is(tmp_path: Path) -> None:
    """Stopped after the first log, it still knows whose the lines are that name nobody, also where the tables have no rows."""
    layout = StoreLayout(tmp_path / "metrics.db", tmp_path / "metrics.jsonl")
    storage = MetricsStorage(layout, Settings(database=layout.database, log_file=layout.log_file))
    journal = Journal(layout, max_bytes=10**8)
    journal.append(encode_line(SessionBegin("own", iso(0), "metric", "session_started", "", ANNA, ANNA, {})))
    journal.rotate()
    line = {
        "kind": "log",
        "timestamp": iso(0),
        "level": "info",
        "event_type": "a",
        "message": "hers",
        "session_id": "own",
    }
    journal.append(encode_line(line))
    journal.close()
    storage.drain()
    with closing(sqlite3.connect(layout.database)) as connection, connection:
        connection.execute("DELETE FROM sessions")
        connection.execute("DELETE FROM logs")
    hasher = IdHasher(key_of(storage))

    def stop(journal_id: str, positions: Positions) -> None:
        told.append(journal_id)
        if len(told) == 2:
            raise OSError(28, "no space left on the disk")

    told: list[str] = []
    with pytest.raises(OSError, match="no space"):
        forget(layout, hasher, ANNA, on_rewrite=stop)
    assert sessions_in_logs(storage) == {None, "own"}
    forget(layout, hasher, ANNA)
    assert sessions_in_logs(storage) == {None}


def test_who_asked_before_gets_new_answers(people: MetricsStorage) -> None:
    """A process that has the rows in memory already does not show the person any more."""
    settings = load({"database": people.layout.database, "log_file": people.layout.log_file, "drain_interval_s": 0}, {})
    question = "SELECT count(*) AS n FROM sessions WHERE user_id = ?".replace("?", str(ANNA))
    with MetricsService(settings) as service:
        assert service.sql(question) == [{"n": 11}]
        people.forget(ANNA)
        assert service.sql(question) == [{"n": 0}]


def steps_of_a_whole_run(storage: MetricsStorage) -> int:
    """How many files are opened, renamed and so on, and statements executed by a run that nobody kills."""
    most = 1_000_000
    output = finish(start(FORGETTER, storage.layout.database.parent, str(ANNA), str(most)))
    return most - int(output.split()[-1])


@pytest.mark.parametrize("kernel_tells", [True, False])
def test_writer_that_does_not_let_go_is_named(
    people: MetricsStorage, monkeypatch: pytest.MonkeyPatch, kernel_tells: bool
) -> None:
    """Where a process keeps an old log open, forgetting ends with an error that names it, and works when it is gone."""
    if not kernel_tells:
        monkeypatch.setattr(writers, "_LOCKS", people.layout.database.with_name("nowhere"))
    hasher = IdHasher(key_of(people))
    code = "import sys, otel_metrics; otel_metrics.create_session(1, 2); print(1, flush=True); sys.stdin.read()"
    holder = start(code, people.layout.database.parent)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "1\n"
    os.kill(holder.pid, signal.SIGSTOP)  # it can not look for a new log now
    with pytest.raises(StoreError, match=rf"still written by process.* {holder.pid}\b.* after 0.2 s"):
        forget(people.layout, hasher, ANNA, wait_s=0.2)
    os.kill(holder.pid, signal.SIGCONT)
    finish(holder)

    forget(people.layout, hasher, ANNA)
    assert traces_of(people.layout.database.parent, ANNA, key_of(people)) == []


def test_rewritten_logs_keep_age_rights_and_header(people: MetricsStorage) -> None:
    """A rewritten log is as old, as private and as read as it was, so that retention and drains treat it as before."""
    paths = people.layout.rotated_files()
    for number, path in enumerate(paths):
        os.utime(path, ns=(number * 10**9, number * 10**9))
    headers = [read_header(path) for path in paths]

    report = people.forget(ANNA)

    assert {path.name for path in paths} <= set(report.files_rewritten)
    assert [path.stat().st_mtime_ns for path in paths] == [number * 10**9 for number in range(len(paths))]
    assert {
        path.stat().st_mode & 0o777 for path in people.layout.database.parent.iterdir() if path.suffix != ".jsonl"
    } <= {0o600}
    assert [read_header(path) for path in paths] == headers
    files = {row["journal_id"]: row for row in rows(people.layout.database, "journal_files")}
    for path, header in zip(paths, headers, strict=True):
        assert header is not None
        assert (files[header.journal_id]["offset"], files[header.journal_id]["sealed"]) == (path.stat().st_size, 1)
    assert people.drain(10).stored == 0


def test_positions_in_rewritten_logs_can_be_followed(people: MetricsStorage) -> None:
    """Who keeps a position in a log is told, before the log is replaced, where it goes to: to the same next line."""
    old = {path.name: path.read_bytes() for path in [*people.layout.rotated_files(), people.layout.log_file]}
    moved: dict[str, list[tuple[int, int]]] = {}

    def note(journal_id: str, positions: Positions) -> None:
        (name,) = [name for name, data in old.items() if journal_id.encode() in data.partition(b"\n")[0]]
        ends = [at + 1 for at, byte in enumerate(old[name]) if byte == 10]
        moved[journal_id] = [(end, positions.new(end)) for end in ends]

    forget(people.layout, IdHasher(key_of(people)), ANNA, on_rewrite=note)

    new = {
        header.journal_id: path.read_bytes() for path in people.layout.rotated_files() if (header := read_header(path))
    }
    for journal_id, pairs in moved.items():
        (before,) = [data for data in old.values() if journal_id.encode() in data.partition(b"\n")[0]]
        assert pairs[-1] == (len(before), len(new[journal_id]))
        for old_place, new_place in pairs:
            line, kept = before[old_place:].partition(b"\n")[0], new[journal_id][new_place:].partition(b"\n")[0]
            if b',"nth":' in line:  # by its number: a line may have gone, and a mark stands in its place
                assert line.rpartition(b',"process"')[2] == kept.rpartition(b',"process"')[2]
    assert len(moved) == len(old)


def test_what_was_not_sent_yet_is_sent_from_the_same_place(people: MetricsStorage) -> None:
    """The cursor of sending by OTLP goes along: in each rewritten log it stands before the same line as before."""
    paths = people.layout.rotated_files()
    places = {}
    for path, header in [(path, read_header(path)) for path in paths]:
        assert header is not None
        data = path.read_bytes()
        middle = data.index(b"\n", len(data) // 2) + 1
        places[header.journal_id] = (middle, data[middle:].partition(b"\n")[0].rpartition(b',"process"')[2])
    save_cursor(people.layout, Cursor({name: middle for name, (middle, _) in places.items()}, sent=7))

    people.forget(ANNA)

    cursor = load_cursor(people.layout)
    assert cursor is not None
    assert cursor.sent == 7
    assert cursor.positions != {name: middle for name, (middle, _) in places.items()}
    for path, header in [(path, read_header(path)) for path in paths]:
        assert header is not None
        _, number = places[header.journal_id]
        rest = path.read_bytes()[cursor.positions[header.journal_id] :]
        assert rest.partition(b"\n")[0].rpartition(b',"process"')[2] == number


def test_records_of_no_session_are_told_apart(people: MetricsStorage) -> None:
    """The session of records without a session id is everybody's: a forgotten user's stages in it go, others' stay."""
    people.forget(ANNA)
    left = rows(people.layout.database, "processing_metrics", "session_id = 'unknown'")
    assert len(left) == 5
    assert {row["metadata"]["name"] for row in left} == {f"name of {user}" for user in EVERYBODY if user != ANNA}
    log_lines = [line for path in people.layout.rotated_files() for line in path.read_bytes().splitlines()]
    assert sum(b'"session_id":"unknown"' in line for line in log_lines) == 2 * len(left)


def test_key_of_the_settings_is_used(tmp_path: Path) -> None:
    """With METRICS_ID_KEY the hashes that are looked for are made with it, and no key file is made."""
    settings = Settings(
        database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl", id_key="secret", drain_interval_s=0
    )
    with MetricsService(settings) as service:
        session = service.create_session(BERT, BERT)
        service.record_correction(session, ANNA, "m", "text_correction", "a", "b", 1)
        service.end_session(session)
    assert IdHasher(b"secret").hash("moderator", ANNA) in str(rows(settings.database, "spans"))

    MetricsStorage(StoreLayout(settings.database, settings.log_file), settings).forget(ANNA)

    assert traces_of(tmp_path, ANNA, b"secret") == []
    assert not (tmp_path / "metrics.db.key").exists()


@pytest.mark.parametrize("user", ["", "0", 0, None])
def test_nobody_can_not_be_forgotten(people: MetricsStorage, user: object) -> None:
    """0 is what stands where there is no id: forgetting it is refused before anything is written."""
    with pytest.raises(SettingError, match="0 stands for no id"):
        people.forget(user)
    assert not people.layout.tombstones_file.exists()
