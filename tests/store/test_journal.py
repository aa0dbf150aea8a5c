"""The writing end of the log: whole lines in the right file, whatever happened to the file meanwhile."""

import errno
import json
import os
import time
from pathlib import Path

import pytest
from support.stores import layout_in, lines

from otel_metrics.model.records import encode_line
from otel_metrics.store.journal import Journal
from otel_metrics.store.journal_files import read_header
from otel_metrics.store.layout import StoreLayout


def line(number: int, size: int = 0) -> bytes:
    return encode_line({
        "kind": "log", "timestamp": "2026-01-01T12:00:00.000000Z", "level": "info", "event_type": "e",
        "message": f"{number}", "filling": "x" * size,
    })  # fmt: skip


def messages(path: Path) -> list[str]:
    return [entry["message"] for entry in lines(path, "log")]


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    return layout_in(tmp_path)


def test_first_lines_say_what_the_file_is_and_who_writes(layout: StoreLayout) -> None:
    """A log begins with its own identity, then each process says who it is, with its OpenTelemetry resource."""
    journal = Journal(layout, max_bytes=10**6, resource=lambda: {"service.name": "bot"})
    journal.append(line(1))
    first, second, third = lines(layout.log_file)
    assert (first["kind"], first["number"], len(first["journal_id"])) == ("file", 1, 24)
    assert (second["kind"], second["pid"], second["resource"]) == ("process", os.getpid(), {"service.name": "bot"})
    assert (second["process"], third["message"]) == (journal.process, "1")
    journal.close()


@pytest.mark.parametrize("durability", ["process", "interval", "strict"])
def test_line_is_in_the_file_when_append_returns(layout: StoreLayout, durability: str) -> None:
    """At every level of durability the whole line can be read as soon as `append` has returned."""
    journal = Journal(layout, max_bytes=10**6, durability=durability)
    for number in range(3):
        journal.append(line(number))
        journal.sync()
        assert messages(layout.log_file) == [str(done) for done in range(number + 1)]
    journal.close()


def test_closed_journal_opens_again(layout: StoreLayout) -> None:
    """A line after `close()` goes into the same file."""
    journal = Journal(layout, max_bytes=10**6)
    journal.append(line(1))
    journal.close()
    journal.append(line(2))
    journal.close()
    assert messages(layout.log_file) == ["1", "2"]


def test_file_is_rotated_at_its_size_and_numbered(layout: StoreLayout) -> None:
    """A full log is renamed with a rising number, and the next one begins with an identity of its own."""
    journal = Journal(layout, max_bytes=8192)
    for number in range(100):
        journal.append(line(number, 300))
    journal.close()
    rotated = layout.rotated_files()
    assert [path.name for path in rotated] == [f"metrics.jsonl.{number:06d}" for number in range(1, len(rotated) + 1)]
    assert len(rotated) >= 3
    assert all(path.stat().st_size <= 8192 + 4096 for path in rotated)
    every = [*rotated, layout.log_file]
    headers = [read_header(path) for path in every]
    assert [header.number for header in headers if header] == list(range(1, len(every) + 1))
    assert len({header.journal_id for header in headers if header}) == len(every)
    assert [message for path in every for message in messages(path)] == [str(number) for number in range(100)]


def test_other_writers_follow_a_rotation(layout: StoreLayout) -> None:
    """A process that looks, as it does every second, goes on in the file that another one began."""
    first, second = Journal(layout, max_bytes=4096), Journal(layout, max_bytes=10**6)
    second.append(line(0))
    for number in range(1, 20):
        first.append(line(number, 500))
    second.look()
    second.append(line(99))
    assert "99" in messages(layout.log_file)
    first.close()
    second.close()


def test_log_of_somebody_else_is_set_aside_unchanged(layout: StoreLayout) -> None:
    """A file of another program under the log's name is kept under another name and never mixed with ours."""
    layout.log_file.write_text('{"event":"the seed wrote this"}\n')
    journal = Journal(layout, max_bytes=10**6)
    journal.append(line(1))
    journal.close()
    (aside,) = layout.log_file.parent.glob("metrics.before.*.jsonl")
    assert aside.read_text() == '{"event":"the seed wrote this"}\n'
    assert messages(layout.log_file) == ["1"]


@pytest.mark.parametrize("harm", ["emptied", "removed", "renamed"])
def test_log_that_somebody_took_away_is_begun_anew(layout: StoreLayout, harm: str) -> None:
    """When an administrator empties, removes or renames the log, the next look begins a new one that can be drained."""
    journal = Journal(layout, max_bytes=10**6)
    journal.append(line(1))
    if harm == "emptied":
        os.truncate(layout.log_file, 0)
    elif harm == "removed":
        layout.log_file.unlink()
    else:
        layout.log_file.rename(layout.log_file.with_name("old"))
    journal.append(line(2))
    journal.look()
    journal.append(line(3))
    journal.close()
    assert read_header(layout.log_file) is not None
    assert messages(layout.log_file)[-1] == "3"


def test_line_that_only_half_fits_is_ended_by_the_next(layout: StoreLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk takes a part of a line, that line is refused and the next one is whole all the same."""
    journal = Journal(layout, max_bytes=10**6)
    journal.append(line(1))
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:20]))
    with pytest.raises(OSError, match="only a part") as caught:
        journal.append(line(2))
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.setattr(os, "write", write)
    journal.append(line(3))
    journal.close()
    whole = [entry for entry in layout.log_file.read_bytes().split(b"\n") if entry.endswith(b"}")]
    assert whole[-1].startswith(line(3)[:-2])


def test_file_whose_first_line_does_not_fit_is_not_begun(layout: StoreLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full at the start leaves no half-made log and no draft; when there is room, writing begins."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:30]))
    journal = Journal(layout, max_bytes=10**6)
    with pytest.raises(OSError, match="only a part"):
        journal.append(line(1))
    assert list(layout.log_file.parent.iterdir()) == []
    monkeypatch.setattr(os, "write", write)
    journal.append(line(2))
    journal.close()
    assert messages(layout.log_file) == ["2"]


def test_rotation_that_fails_does_not_refuse_a_line_that_is_kept(
    layout: StoreLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the next file can not be made, the line is acknowledged, since it is in the file that is there."""
    journal = Journal(layout, max_bytes=4096)
    journal.append(line(0))

    def refused(*names: object) -> None:
        raise OSError(errno.EACCES, "no")

    monkeypatch.setattr(os, "rename", refused)
    for number in range(1, 30):
        journal.append(line(number, 300))
    assert messages(layout.log_file) == [str(number) for number in range(30)]
    journal.close()


def numbers(path: Path) -> list[int]:
    return [entry["nth"] for entry in lines(path) if "nth" in entry]


def test_lines_are_numbered_without_a_gap_through_rotations_and_refusals(
    layout: StoreLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer's lines carry 1, 2, 3 … over all its files; a line that the disk refused uses up no number."""
    journal = Journal(layout, max_bytes=4096)
    write = os.write
    for number in range(1, 20):
        journal.append(line(number, 500))
        if number == 7:
            monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:20]))
            with pytest.raises(OSError, match="only a part"):
                journal.append(line(99))
            monkeypatch.setattr(os, "write", write)
    journal.close()
    paths = [*layout.rotated_files(), layout.log_file]
    assert len(paths) > 2
    found = [
        entry["nth"]
        for path in paths
        for text in path.read_bytes().split(b"\n")
        if text.endswith(b"}") and "nth" in (entry := json.loads(text))
    ]
    assert found == list(range(1, len(found) + 1))
    assert len(found) == 19 + len(paths)  # each file begins with a line that says who writes


def test_line_without_its_line_end_counts_as_kept(layout: StoreLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk takes all of a line but its end, the line is whole: it is kept, and not counted as lost besides."""
    journal = Journal(layout, max_bytes=10**6)
    journal.append(line(1))
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:-1]))
    journal.append(line(2))
    monkeypatch.setattr(os, "write", write)
    journal.append(line(3))
    journal.close()
    whole = [json.loads(entry) for entry in layout.log_file.read_bytes().split(b"\n") if entry]
    assert [(entry["message"], entry["nth"]) for entry in whole[2:]] == [("1", 2), ("2", 3), ("3", 4)]


def test_signal_handler_that_records_while_a_line_is_written_does_not_hang(
    layout: StoreLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line may be written in the middle of another one of the same thread, as a signal's handler does it."""
    journal = Journal(layout, max_bytes=10**6)
    journal.append(line(1))
    write = os.write

    def interrupted(descriptor: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        journal.append(line(3))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", interrupted)
    journal.append(line(2))
    journal.close()
    assert messages(layout.log_file) == ["1", "3", "2"]
    assert sorted(numbers(layout.log_file)) == [1, 2, 3, 4]


@pytest.mark.parametrize("jump_s", [86_500, -86_500, 10 * 365 * 86_400])
def test_log_is_rotated_daily(layout: StoreLayout, monkeypatch: pytest.MonkeyPatch, jump_s: int) -> None:
    """A log that is a day old is rotated however small it is, and one time where the clock has jumped either way."""
    journal = Journal(layout, max_bytes=10**6)
    journal.append(line(1))
    journal.look()
    assert layout.rotated_files() == []
    now_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns + jump_s * 10**9)
    for _ in range(3):
        journal.look()
    journal.append(line(2))
    journal.close()
    assert len(layout.rotated_files()) == 1
    assert messages(layout.log_file) == ["2"]


def test_log_of_an_earlier_start_of_the_machine_is_closed(layout: StoreLayout) -> None:
    """After a power failure the log may have lost its last lines: new ones go into a new file, so that none takes their place."""
    first = Journal(layout, max_bytes=10**6)
    first.append(line(1))
    boot = read_header(layout.log_file)
    assert boot is not None
    assert boot.boot
    data = layout.log_file.read_bytes()
    layout.log_file.write_bytes(data.replace(boot.boot.encode(), b"0" * len(boot.boot)))
    second = Journal(layout, max_bytes=10**6)
    second.append(line(2))
    assert messages(layout.log_file) == ["1", "2"]  # somebody still writes to it: it is of now
    second.close()
    first.close()
    third = Journal(layout, max_bytes=10**6)
    third.append(line(3))
    third.close()
    assert messages(layout.log_file) == ["3"]
    assert len(layout.rotated_files()) == 1


def test_desk_can_rotate_at_any_size(layout: StoreLayout) -> None:
    """`rotate` begins the next file at once, and other writers follow at their next look."""
    journal, desk = Journal(layout, max_bytes=10**6), Journal(layout, max_bytes=10**6)
    journal.append(line(1))
    desk.rotate()
    journal.look()
    journal.append(line(2))
    journal.close()
    desk.close()
    assert messages(layout.log_file) == ["2"]


def test_what_a_rotation_leaves_unsynced_is_synced_later(layout: StoreLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    """At `interval` the file that was rotated away is brought to the disk too, and then let go."""
    journal = Journal(layout, max_bytes=4096, durability="interval")
    synced: list[int] = []
    sync = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda one: (synced.append(os.fstat(one).st_ino), sync(one)))
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1, 12):
        journal.append(line(number, 500))
    journal.sync()
    inodes = {path.stat().st_ino for path in [*layout.rotated_files(), layout.log_file]}
    assert len(inodes) > 1
    assert inodes <= set(synced)
    journal.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_stray_file_with_an_impossible_number_is_no_hindrance(layout: StoreLayout) -> None:
    """An old file beside the log, whose name holds a number that no process can have, does not keep a log from being made."""
    stray = layout.log_file.with_name(f".{layout.log_file.name}.99999999999999999999.ab")
    stray.touch(0o600)
    os.utime(stray, (0, 0))
    journal = Journal(layout, max_bytes=10**6)
    journal.append(line(1))
    journal.close()
    assert messages(layout.log_file) == ["1"]
