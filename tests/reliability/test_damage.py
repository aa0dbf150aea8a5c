"""Damage to any file of a store: nothing is deleted, commands say which file it is, bots go on, and a repair brings back what the log has."""

import json
import os
import random
import shutil
import sqlite3
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.cli import real
from support.desk import desk
from support.processes import finish, start
from support.stores import layout_in

from otel_metrics import MetricsService
from otel_metrics.errors import StoreDamaged
from otel_metrics.settings import load

BOT = """
import os, signal, sys
import otel_metrics as m
service = m.configure(log_max_bytes=9000, log_backups=1000)
def work(number):
    session = m.create_session(number, -number, note=f"session {number}")
    with m.timer(session, number, -number, "ai_processing", number=number):
        m.get_logger().info("step", "a step", number=number)
    m.record_correction(session, 7, f"m{number}", "text_correction", "a draft", "a better draft", 1000 + number)
    m.record_system_metric("number", number)
    m.end_session(session)
for number in range(60):
    work(number)
    if number % 7 == 0:
        service.flush()
with open(service.settings.log_file, "ab") as log:
    log.write(b'{"kind":"stage","metric_id":"torn\\n')
service.flush()
with service.storage.reading():  # who reads keeps the write-ahead log from being taken away
    for number in range(60, 90):
        work(number)
    service.flush()
    for number in range(90, 95):
        work(number)
    print("done", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
COMMANDS = (
    ("dashboard",), ("alerts", "--hours", "9000"), ("sessions",), ("queue",), ("sql", "FROM logs SELECT count(*)"), ("prune",),
    ("doctor",), ("export", "processing_metrics", "--output", "out.csv"),
)  # fmt: skip
PLACES = ("database", "database", "wal", "log", "rotated", "key", "rejected")
KEYS = {"stage": ("processing_metrics", "metric_id"), "correction": ("correction_metrics", "correction_id"),
        "span": ("spans", "record_id"), "end": ("spans", "record_id"), "session": ("sessions", "session_id")}  # fmt: skip


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a bot that was killed: rotated logs, a write-ahead log, a line that can not be read, lines that wait."""
    folder = tmp_path_factory.mktemp("pristine")
    with pytest.raises(AssertionError):
        finish(start(BOT, folder))
    layout = layout_in(folder)
    assert layout.database.with_name("metrics.db-wal").stat().st_size > 50_000
    assert layout.rejected_file.exists()
    assert len(layout.rotated_files()) > 5
    return folder


# --- damages ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Damage:
    """What is done to which file."""

    place: str
    path: Path
    harm: str

    def __str__(self) -> str:
        return f"{self.harm} of {self.path.name}"


def damage(folder: Path, chance: random.Random, places: tuple[str, ...]) -> Damage:
    """Does one: flipped bits, a cut, or a range of zero bytes, in one of the files."""
    layout = layout_in(folder)
    place = chance.choice(places)
    path = {
        "database": layout.database, "wal": layout.database.with_name("metrics.db-wal"), "log": layout.log_file,
        "rotated": chance.choice(layout.rotated_files()), "key": layout.key_file, "rejected": layout.rejected_file,
    }[place]  # fmt: skip
    harm = chance.choice(["bits", "bits", "header", "cut", "zeros"])
    content = bytearray(path.read_bytes())
    size = len(content)
    if harm == "bits":
        for _ in range(chance.choice([1, 1, 3, 30])):
            content[chance.randrange(size)] ^= 1 << chance.randrange(8)
    elif harm == "header":
        content[chance.randrange(min(size, 200))] ^= 1 << chance.randrange(8)
    elif harm == "cut":
        del content[chance.choice([0, chance.randrange(size), chance.randrange(size)]) :]
    else:
        begin = chance.choice([0, chance.randrange(size)])
        length = chance.choice([1, 100, 4096, size])
        content[begin : begin + length] = bytes(len(content[begin : begin + length]))
    path.write_bytes(content)
    return Damage(place, path, harm)


# --- what is there --------------------------------------------------------------------------------------------------------


def whole_lines(folder: Path) -> set[bytes]:
    """The lines of all log files, whatever their names, without their ends."""
    found = set[bytes]()
    for path in folder.glob("metrics.jsonl*"):
        found.update(path.read_bytes().split(b"\n")[:-1])
    return found


def is_whole(line: bytes) -> bool:
    return line.startswith(b'{"kind":"') and line.endswith(b"}")


@dataclass
class Tables:
    """Keys of the rows by their tables; of rows that have none the numbers that the bot gave them."""

    keys: dict[str, set[str]] = field(default_factory=dict)
    logs: Counter[int] = field(default_factory=Counter)
    metrics: Counter[str] = field(default_factory=Counter)


def tables_of(database: Path) -> Tables:
    found = Tables()
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for table, key in set(KEYS.values()):
            found.keys[table] = {row[0] for row in connection.execute(f"SELECT {key} FROM {table}")}
        found.logs.update(row[0] for row in connection.execute("SELECT fields ->> 'number' FROM logs"))
        found.metrics.update(row[0] for row in connection.execute("SELECT value FROM system_metrics"))
    return found


def check_rows(database: Path, lines: set[bytes], *, is_altered: bool) -> None:
    """Every record of these lines is in the tables, once.

    A flipped bit in a text of the tables shows to nobody: where the database `is_altered`, rows without keys are counted.
    """
    tables = tables_of(database)
    records = [json.loads(line) for line in lines]
    if is_altered:
        kinds = Counter(record["kind"] for record in records)
        assert (kinds["log"], kinds["system"]) == (tables.logs.total(), tables.metrics.total())
        records = [record for record in records if record["kind"] in KEYS]
    for record in records:
        kind = record["kind"]
        if kind in KEYS:
            table, key = KEYS[kind]
            assert record[key] in tables.keys[table], record
        elif kind == "log" and "number" in record:
            assert tables.logs[record["number"]] == 1, record
        elif kind == "system":
            assert tables.metrics[record["value"]] == 1, record


# --- the test -------------------------------------------------------------------------------------------------------------


def bot(folder: Path) -> Iterator[None]:
    """A bot that records a little and moves it into the tables, twice; it never sees an error and loses nothing."""
    files = {
        "database": folder / "metrics.db",
        "log_file": folder / "metrics.jsonl",
        "log_backups": 1000,
        "log_max_bytes": 9000,
    }
    with MetricsService(load({**files, "drain_interval_s": 3600})) as service:
        for number in (1000, 1001):
            service.get_logger().info("step", "after the damage", number=number + os.getpid() * 10_000)
            with service.timer(service.create_session(1, 2), 1, 2, "ai_processing"):
                pass
            service.flush()
            yield
        assert service.losses.dropped() == {}


class Case:
    """One damaged copy of the store, and what became of it."""

    def __init__(self, pristine: Path, folder: Path, seed: int, places: tuple[str, ...] = PLACES) -> None:
        self.chance = random.Random(seed)
        self.folder = folder
        self.originals = {line for line in whole_lines(pristine) if is_whole(line)}
        shutil.copytree(pristine, folder)
        self.damage = damage(folder, self.chance, places)
        self.before = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.statuses: list[int] = []

    def run(self, *, asked_first: bool) -> str:
        """The whole way: a desk asks, a bot works, a desk repairs, a bot works on; gives in a few words what came of it."""
        self.ask()
        if not asked_first:
            self.record()
        outcome = self.repair()
        self.check_nothing_is_deleted()
        self.record()
        if outcome not in {"key", "newer"}:
            self.ask()
            self.repair()
        return f"{self.damage.place}: {outcome}, asked {self.statuses[0]}"

    def ask(self) -> None:
        """A desk asks: it ends well or names the file, and it sets nothing aside."""
        command = self.chance.choice(COMMANDS)
        aside = sorted(self.folder.glob("*.damaged-*"))
        status, text = desk(*command, "--database", self.folder / "metrics.db")
        self.statuses.append(status)
        if status == 3:
            assert str(self.folder / "metrics.db") in text or self.damage.path.name in text
            if self.damage.place != "key":
                assert "`otel-metrics doctor --repair`" in text
        assert sorted(self.folder.glob("*.damaged-*")) == aside

    def record(self) -> None:
        """A bot works on it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                for _ in bot(self.folder):
                    pass
            except StoreDamaged as error:
                assert self.damage.place == "key", error

    def repair(self) -> str:
        """A desk repairs it; gives in a word how that ended."""
        lines = whole_lines(self.folder)
        status, text = desk("doctor", "--repair", "--database", self.folder / "metrics.db")
        if self.damage.place == "key" and status == 3:
            assert self.damage.path.name in text
            return "key"
        if status == 4:
            assert (self.folder / "metrics.db").read_bytes() == self.before["metrics.db"]
            return "newer"
        assert status in {0, 1}, text
        self.check_rows(lines)
        if list(self.folder.glob("*.damaged-*")):
            return "set aside"
        return "sound"

    def check_rows(self, lines: set[bytes]) -> None:
        """What stands in sound lines of the log is in the tables."""
        if self.damage.place in {"database", "wal"}:
            check_rows(self.folder / "metrics.db", {line for line in lines if is_whole(line)}, is_altered=True)
        else:
            check_rows(self.folder / "metrics.db", self.originals & lines, is_altered=False)

    def check_nothing_is_deleted(self) -> None:
        """Every file is there, under its name or set aside; and what the log had, it has."""
        names = {path.name for path in self.folder.iterdir()}
        for name in self.before.keys() - {"metrics.db-wal", "metrics.db-shm"}:
            assert name in names, name
        after = b"".join(sorted(path.read_bytes() for path in self.folder.glob("metrics.*jsonl*")))
        for name, content in self.before.items():
            if name.startswith("metrics.jsonl"):
                assert all(line in after for line in content.split(b"\n"))


@pytest.mark.parametrize(
    ("first", "count"),
    [
        (0, 25),
        (25, 25),
        (50, 25),
        (75, 25),
        *(pytest.param(n, 500, marks=pytest.mark.long) for n in range(1000, 6000, 500)),
    ],
)
def test_damage_is_survived_and_mended(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, count: int
) -> None:
    """Whatever file is damaged however: commands end with a status, bots record on, and after a repair the store is sound and has all that the log tells, once."""
    outcomes: Counter[str] = Counter()
    failures: list[Exception] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METRICS_LOG_BACKUPS", "1000")
    for seed in range(first, first + count):
        case = Case(pristine, tmp_path / f"case{seed}", seed)
        try:
            outcomes[case.run(asked_first=seed % 2 == 0)] += 1
            shutil.rmtree(case.folder)
        except Exception as error:
            error.add_note(f"seed {seed}: {case.damage}, in {case.folder}")
            failures.append(error)
    for outcome, times in sorted(outcomes.items()):
        print(f"{times:5} {outcome}")
    if failures:
        raise ExceptionGroup(f"{len(failures)} of {count} damages", failures)


REAL_BOT = """
import sys, warnings
warnings.simplefilter("ignore")
import otel_metrics as m
service = m.configure(log_max_bytes=9000, log_backups=1000, drain_interval_s=0.02)
for number in range(1000, 1020):
    m.get_logger().info("step", "after the damage", number=number)
service.flush()
print(service.losses.dropped())
m.shutdown()
"""


@pytest.mark.parametrize("seed", range(6))
def test_damage_in_real_processes(pristine: Path, tmp_path: Path, seed: int) -> None:
    """The same with a bot that drains in its background, and commands in processes of their own."""
    case = Case(pristine, tmp_path / "case", 10_000 + seed, places=("database", "log", "rotated"))
    for arguments in (("dashboard",), ("doctor",)):
        result = real(*arguments, folder=case.folder, METRICS_LOG_BACKUPS="1000")
        assert result.returncode in {0, 1, 3, 4}
        assert "Traceback" not in result.stderr
    assert not list(case.folder.glob("*.damaged-*"))
    assert finish(start(REAL_BOT, case.folder)) == "{}\n"
    lines = whole_lines(case.folder)
    result = real("doctor", "--repair", folder=case.folder, METRICS_LOG_BACKUPS="1000")
    assert result.returncode in {0, 1}, result
    case.check_rows(lines)
