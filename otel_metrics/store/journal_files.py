"""Owns what a journal file is on the disk: its header, its lock, how it comes into being and how one is told from another."""

import errno
import fcntl
import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

import msgspec

from otel_metrics.model.records import FileBegin, encode_line
from otel_metrics.model.times import iso, to_ns
from otel_metrics.store.alive import is_alive
from otel_metrics.store.layout import StoreLayout, open_private
from otel_metrics.store.lines import number_of

_LINE_START = b'{"kind":"'
_HEADER_START = b'{"kind":"file","journal_id":"'
_LOOK_BYTES = 1 << 20
_DRAFT_IS_LEFT_S = 60.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_header(path: Path) -> FileBegin | None:
    """The header of a journal file; None if the file is gone or is not one of ours."""
    try:
        with path.open("rb") as file:
            return header_in(file)
    except FileNotFoundError:
        return None


def header_in(file: IO[bytes]) -> FileBegin | None:
    """The header of an open journal file, which is at its start; None if it is not one of ours."""
    return _decoded(file.readline(4096))


def header_of(descriptor: int) -> FileBegin | None:
    """The header behind a descriptor, which stays where it is; None if it is not one of ours."""
    return _decoded(os.pread(descriptor, 4096, 0).partition(b"\n")[0])


def _decoded(first: bytes) -> FileBegin | None:
    if not first.startswith(_HEADER_START):
        return None
    try:
        header = msgspec.json.decode(first, type=FileBegin)
        to_ns(header.timestamp)
    except ValueError:  # no JSON, no text, no time
        return None
    return header


def create_current(layout: StoreLayout, number: int | None = None, *, to_disk: bool = False) -> None:
    """Makes the current file where there is none. It appears whole under its name, by a link that only one can make.

    Without a `number` it is the one after all rotated files.
    """
    number = number or number_after_rotated(layout)
    _remove_left_drafts(layout)
    header = FileBegin(
        os.urandom(12).hex(), iso(time.time_ns()), "debug", "journal_started", f"Journal file {number}", number, boot_id()
    )  # fmt: skip
    # A name of its own: one that an interrupted attempt left is a second name of a log, and would empty it.
    draft = layout.log_file.with_name(f".{layout.log_file.name}.{os.getpid()}.{os.urandom(6).hex()}")
    descriptor = open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        line = encode_line(header)
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, "the disk took only a part of the first line", str(layout.log_file))
        if to_disk:
            os.fsync(descriptor)
        with suppress(FileExistsError):  # another process was first; its file counts
            os.link(draft, layout.log_file)
    finally:
        os.close(descriptor)
        draft.unlink(missing_ok=True)  # whoever made the next file may have taken it for one that was left
    if to_disk:
        sync_folder(layout.log_file.parent)


def _remove_left_drafts(layout: StoreLayout) -> None:
    """A draft that somebody died over is a second name of a log, whose data would outlive it."""
    prefix = f".{layout.log_file.name}."
    for entry in os.scandir(layout.log_file.parent):
        with suppress(OSError):
            status = entry.stat() if entry.name.startswith(prefix) and entry.name != layout.rotate_lock.name else None
            if status is not None and (status.st_nlink > 1 or _is_of_the_dead(entry.name.removeprefix(prefix), status)):
                os.unlink(entry.path)


def _is_of_the_dead(rest: str, status: os.stat_result) -> bool:
    """Whether a draft's process is gone. Not by its number alone, which may be one of another container's."""
    number = rest.partition(".")[0]
    if not number.isdigit() or time.time() - status.st_mtime < _DRAFT_IS_LEFT_S:
        return False
    return not is_alive(int(number))


def number_after_rotated(layout: StoreLayout) -> int:
    """The number of the file that follows all rotated ones."""
    rotated = layout.rotated_files()
    return int(rotated[-1].name.rpartition(".")[2]) + 1 if rotated else 1


def rename_current(layout: StoreLayout) -> int:
    """Gives the current file the name of a rotated one, and the number of the next. Call only while holding the rotate lock."""
    header = read_header(layout.log_file)
    number = header.number if header else 0
    if number < 1 or layout.rotated_file(number).exists():  # else it followed all others when it was begun
        number = number_after_rotated(layout)
    os.rename(layout.log_file, layout.rotated_file(number))
    return number + 1


def set_foreign_aside(layout: StoreLayout) -> None:
    """A log file that is not ours (the seed's, or anything else) is kept under another name, never mixed or deleted.

    One of ours that has lost its first line is rotated: its other lines are still to be read, and may be written to.
    """
    path = layout.log_file
    if path.exists() and read_header(path) is None:
        if _has_own_lines(path):
            rename_current(layout)
        else:
            os.rename(path, path.with_name(f"{path.stem}.before.{time.time_ns()}{path.suffix}"))


def _has_own_lines(path: Path) -> bool:
    with path.open("rb") as file:
        return bool(first_own_line(file))


def first_own_line(file: IO[bytes]) -> bytes:
    """The first whole line of ours near the beginning of a file, or else near its end; empty if there is none."""
    for start in (0, max(0, os.fstat(file.fileno()).st_size - _LOOK_BYTES)):
        file.seek(start)
        for line in file.read(_LOOK_BYTES).split(b"\n")[:-1]:
            if line.startswith(_LINE_START) and number_of(line):
                return line
    return b""


def share(descriptor: int) -> bool:
    """Takes the lock that writers share; False where a drain has the file to itself, which happens to rotated ones alone."""
    return _flock(descriptor, fcntl.LOCK_SH)


def has_no_writer(descriptor: int) -> bool:
    """Whether nobody writes to the file any more: then its end is its end."""
    return _flock(descriptor, fcntl.LOCK_EX)


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def same_file(descriptor: int, path: Path) -> bool:
    """Whether the descriptor leads to the file that has this name now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def end_last_line(descriptor: int) -> None:
    """A torn last line of a dead writer must not swallow the first line of the next one."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk: without it a new file may be gone after a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@cache
def boot_id() -> str:
    """What changes when the machine starts anew; empty where the system does not tell."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
