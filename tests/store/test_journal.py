"""The writing end of the log: whole lines in the right file, whatever happened to the file meanwhile."""

import errno
import os
from pathlib import Path

import pytest
from support.stores import layout_in, lines

from otel_metrics.model.records import encode_line
from otel_metrics.store.journal import Journal, read_header
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
    assert whole[-1] + b"\n" == line(3)


def test_file_whose_first_line_does_not_fit_is_not_begun(layout: StoreLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full at the start leaves no half-made log and no draft; when there is room, writing begins."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:30]))
    journal = Journal(layout, max_bytes=10**6)
    with pytest.raises(OSError, match="only a part"):
        journal.append(line(1))
    assert [path.name for path in layout.log_file.parent.iterdir()] == [layout.rotate_lock.name]
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
