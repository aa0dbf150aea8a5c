"""`import` takes in what other hosts recorded, each line and span once, however it is given."""

import gzip
import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.cli import real
from support.processes import environment
from support.stores import count, rows

from otel_metrics import MetricsService
from otel_metrics.settings import load

TABLES = ("processing_metrics", "correction_metrics", "system_metrics", "sessions", "spans", "logs", "running")
Json = dict[str, Any]


def host(folder: Path, name: str, **more: Any) -> MetricsService:
    """A bot's service on another host: a folder of its own."""
    place = folder / name
    place.mkdir(exist_ok=True)
    settings = {"database": place / "metrics.db", "log_file": place / "metrics.jsonl", "drain_interval_s": 0, **more}
    return MetricsService(load(settings, {}))


def play(service: MetricsService, user: int = 71, sessions: int = 3) -> list[str]:
    """Sessions with everything that a journal holds."""
    ids = []
    for number in range(sessions):
        session = service.create_session(user, user, platform="telegram")
        with service.timer(session, user, user, "ai_processing", model="m", number=number):
            pass
        service.record_correction(session, 9009, "m1", "text_correction", "a draft", "a better draft", 1200)
        service.record_system_metric("cpu", 0.5)
        service.get_logger().info("note", "said", session_id=session)
        service.end_session(session)
        ids.append(session)
    return ids


def imported(folder: Path, *files: Path) -> list[Json]:
    """Imports into the store of `folder` and gives what was printed for each file."""
    result = real("import", *files, "--format", "json", folder=folder)
    assert result.returncode == 0, result.stderr
    reports: list[Json] = json.loads(result.stdout)
    return reports


def counts(folder: Path) -> dict[str, int]:
    return {table: count(folder / "metrics.db", table) for table in TABLES}


def content(folder: Path) -> dict[str, list[Any]]:
    """All rows, without the numbers that each store gives out itself."""
    left_out = {"seq", "id"}
    return {
        table: sorted(
            json.dumps({key: value for key, value in row.items() if key not in left_out}, sort_keys=True)
            for row in rows(folder / "metrics.db", table)
        )
        for table in TABLES
    }


def account(folder: Path) -> Json:
    """What `doctor` says of the records and of what was imported."""
    checks = json.loads(real("doctor", "--format", "json", folder=folder).stdout)
    return {one["name"]: one["figures"] for one in checks if one["figures"]}


def test_journal_of_another_host_makes_the_rows_that_it_made_there(tmp_path: Path) -> None:
    """All rows of all tables are those of the other host's own store; a second time nothing comes."""
    with host(tmp_path, "b") as other:
        play(other)
        other.flush()
    log = tmp_path / "b" / "metrics.jsonl"
    (first,) = imported(tmp_path, log)
    (second,) = imported(tmp_path, log)
    assert content(tmp_path) == content(tmp_path / "b")
    assert first["stored"] == 24
    assert (second["stored"], second["known"], second["skipped"]) == (0, 0, {})


def test_hosts_are_one_store_and_the_account_stays_exact(tmp_path: Path) -> None:
    """Sessions of two hosts stand beside the store's own, and the equation is about the own ones alone."""
    with host(tmp_path, "b") as b, host(tmp_path, "c") as c:
        play(b)
        play(c, user=72)
    settings = {"database": tmp_path / "metrics.db", "log_file": tmp_path / "metrics.jsonl", "drain_interval_s": 0}
    with MetricsService(load(settings, {})) as own:
        play(own, user=73, sessions=2)
    imported(tmp_path, tmp_path / "b" / "metrics.jsonl", tmp_path / "c" / "metrics.jsonl")
    assert counts(tmp_path)["sessions"] == 8
    told = account(tmp_path)
    assert told["imported"]["stored"] == 48
    assert told["records"]["missing"] == 0
    assert told["records"]["emitted"] == told["records"]["stored"] == 17


def test_writers_of_the_same_number_do_not_collide(tmp_path: Path) -> None:
    """Two hosts whose processes have the same number and whose lines the same numbers are told apart."""
    for name in ("b", "c"):
        with host(tmp_path, name) as one:
            play(one, sessions=1)
    logs = [tmp_path / name / "metrics.jsonl" for name in ("b", "c")]
    writers = [json.loads(log.read_text().splitlines()[1])["process"] for log in logs]
    assert writers[0].split("-")[0] == writers[1].split("-")[0]
    assert writers[0] != writers[1]
    imported(tmp_path, *logs)
    assert counts(tmp_path)["sessions"] == 2


def test_overlapping_rotated_files_and_copies_count_once(tmp_path: Path) -> None:
    """Lines that stand in several files, renamed, joined or packed, are taken once."""
    with host(tmp_path, "b") as other:
        play(other, sessions=4)
    log = tmp_path / "b" / "metrics.jsonl"
    whole = log.read_bytes()
    header, *lines = whole.splitlines(keepends=True)
    elsewhere = tmp_path / "x"
    elsewhere.mkdir()
    early, late = elsewhere / "metrics.jsonl.000001", elsewhere / "metrics.jsonl.000002"
    early.write_bytes(header + b"".join(lines[:18]))
    late.write_bytes(b"".join(lines[9:]))
    packed = elsewhere / "all.jsonl.gz"
    packed.write_bytes(gzip.compress(whole))
    reports = imported(tmp_path, late, early, packed, log)
    assert sum(one["stored"] for one in reports) == 32
    assert content(tmp_path) == {**content(tmp_path / "b")}


def test_file_that_is_being_written_is_taken_as_far_as_it_is(tmp_path: Path) -> None:
    """A last line that is not whole waits, and the next import goes on behind what was read."""
    with host(tmp_path, "b") as other:
        play(other)
    log = tmp_path / "b" / "metrics.jsonl"
    whole = log.read_bytes()
    cut = whole.rindex(b'{"kind"') + 20
    growing = tmp_path / "growing.jsonl"
    growing.write_bytes(whole[:cut])
    (first,) = imported(tmp_path, growing)
    assert first["unfinished_bytes"] == 20
    with growing.open("ab") as file:
        file.write(whole[cut:])
    (second,) = imported(tmp_path, growing)
    assert (second["stored"], second["known"], second["unfinished_bytes"]) == (1, 0, 0)
    assert content(tmp_path) == content(tmp_path / "b")


def test_garbage_is_counted_by_reason(tmp_path: Path) -> None:
    """Lines that can not be read are counted, and the sound ones around them are stored."""
    with host(tmp_path, "b") as other:
        play(other, sessions=1)
    lines = (tmp_path / "b" / "metrics.jsonl").read_bytes().splitlines()
    bad = tmp_path / "bad.jsonl"
    torn = lines[3][:30]
    bad.write_bytes(b"\n".join([*lines[:2], b"\x00\xff garbage", b'{"kind":"stage","x":1}', torn, *lines[2:], b""]))
    (report,) = imported(tmp_path, bad)
    assert report["skipped"] == {"unreadable": 3}
    assert content(tmp_path) == content(tmp_path / "b")


def test_lines_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    """A kind of line that is not known ends the import with status 4 and a remedy; what stood before is stored."""
    with host(tmp_path, "b") as other:
        play(other, sessions=1)
    log = tmp_path / "b" / "metrics.jsonl"
    with log.open("ab") as file:
        file.write(b'{"kind":"hologram","timestamp":"2030-01-01T00:00:00.000000Z","process":"1-abc","nth":1}\n')
    result = real("import", log, folder=tmp_path)
    assert result.returncode == 4
    assert "hologram" in result.stderr
    assert "install the newer otel_metrics" in result.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"<html>\n", "begins with"), (b"\x28\xb5\x2f\xfd....", "zstd -d"), (b'{"event":1}\n', "expected a journal")],
)
def test_other_files_are_refused(data: bytes, words: str, tmp_path: Path) -> None:
    """What is neither a journal nor OTLP JSON ends with status 2 and says what was expected, before anything is read."""
    path = tmp_path / "x"
    path.write_bytes(data)
    result = real("import", path, folder=tmp_path)
    assert (result.returncode, words in result.stderr) == (2, True), result.stderr


def test_own_log_is_refused(tmp_path: Path) -> None:
    """The store's own log is read anyway, and a copy of it holds nothing new."""
    settings = {"database": tmp_path / "metrics.db", "log_file": tmp_path / "metrics.jsonl", "drain_interval_s": 0}
    with MetricsService(load(settings, {})) as own:
        play(own, sessions=1)
    assert real("import", tmp_path / "metrics.jsonl", folder=tmp_path).returncode == 2
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes((tmp_path / "metrics.jsonl").read_bytes())
    (report,) = imported(tmp_path, copy)
    assert report["stored"] == 0
    assert set(report["skipped"]) == {"of_this_store"}


def test_rows_in_segments_are_known(tmp_path: Path) -> None:
    """What was imported and has moved into segments since does not come again, from whatever file."""
    with host(tmp_path, "b") as other:
        play(other)
        other.flush()
    log = tmp_path / "b" / "metrics.jsonl"
    imported(tmp_path, log)
    assert real("compact", folder=tmp_path).returncode == 0
    with_other_numbers = tmp_path / "again.jsonl"
    with_other_numbers.write_bytes(log.read_bytes().replace(b'"process":"', b'"process":"9'))
    imported(tmp_path, with_other_numbers)
    left = counts(tmp_path)
    assert (left["processing_metrics"], left["correction_metrics"], left["spans"]) == (0, 0, 0)
    answer = real("sql", "SELECT count(*) AS n FROM processing_metrics", "--format", "json", folder=tmp_path)
    assert json.loads(answer.stdout)[0]["n"] == 3


def test_forgotten_person_does_not_come_back(tmp_path: Path) -> None:
    """Who was forgotten here is left out of another host's journal, with the sessions, and is counted."""
    with host(tmp_path, "b") as other:
        play(other, user=50_071, sessions=2)
        kept = play(other, user=50_072, sessions=1)
    log = tmp_path / "b" / "metrics.jsonl"
    imported(tmp_path, log)
    assert real("forget", "--user", 50_071, folder=tmp_path).returncode == 0
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(log.read_bytes().replace(b'"process":"', b'"process":"9'))
    (report,) = imported(tmp_path, copy)
    assert report["skipped"]["forgotten"] >= 8
    assert [row["session_id"] for row in rows(tmp_path / "metrics.db", "sessions")] == kept
    assert all("50071" not in line for table in content(tmp_path).values() for line in table)


def offset_in(folder: Path) -> int:
    """How far the import of a file has come."""
    try:
        found = rows(folder / "metrics.db", "imports")
    except sqlite3.OperationalError:
        return 0
    return sum(row["offset"] for row in found)


def test_killed_import_goes_on(tmp_path: Path) -> None:
    """Kill -9 at any moment and again: in the end each line is there once."""
    with host(tmp_path, "b") as other:
        play(other, sessions=1500)
        other.flush()
    log = tmp_path / "b" / "metrics.jsonl"
    for _ in range(3):
        before = offset_in(tmp_path)
        process = subprocess.Popen(
            [sys.executable, "-m", "otel_metrics", "import", str(log)], env=environment(tmp_path),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while process.poll() is None and offset_in(tmp_path) == before:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
    imported(tmp_path, log)
    assert counts(tmp_path) == counts(tmp_path / "b")
    assert account(tmp_path)["imported"]["stored"] == 1500 * 8


def test_several_imports_at_once_take_each_line_once(tmp_path: Path) -> None:
    """Processes that import the same file at the same time share the work."""
    with host(tmp_path, "b") as other:
        play(other, sessions=800)
    log = tmp_path / "b" / "metrics.jsonl"
    command = [sys.executable, "-m", "otel_metrics", "import", str(log)]
    together = [subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [one.wait(timeout=60) for one in together] == [0, 0, 0]
    assert counts(tmp_path)["processing_metrics"] == 800
    assert counts(tmp_path)["logs"] == 800
