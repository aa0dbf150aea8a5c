"""Owns the writing end of the journal: one whole line by one write, by any number of processes, through rotations."""

import errno
import fcntl
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from otel_metrics.model.records import FileBegin, ProcessBegin, encode_line
from otel_metrics.model.times import iso
from otel_metrics.store.layout import StoreLayout, open_private
from otel_metrics.store.locks import FileLock

_LOOK_AFTER_BYTES = 262_144  # so much of its own output makes a writer look at the file's size and name
_HEADER_START = b'{"kind":"file","journal_id":"'


class Journal:
    """Appends lines to the log file.

    Every open file is held with a shared lock for as long as this process may write to it, so that a reader that gets
    the exclusive one knows that no more lines will come. A line is acknowledged when `append` returns: from then on it
    survives the death of the process (`durability="process"`) or of the machine (`"strict"`; `"interval"`: but for
    the last 100 ms).
    """

    def __init__(
        self,
        layout: StoreLayout,
        *,
        max_bytes: int,
        durability: str = "process",
        resource: Callable[[], dict[str, Any]] = dict,
    ) -> None:
        self._layout = layout
        self.log_file = layout.log_file.absolute()
        self._max_bytes = max_bytes
        self._look_after_bytes = min(_LOOK_AFTER_BYTES, max_bytes // 4)
        self._durability = durability
        self._resource = resource
        self._rotate_lock = FileLock(layout.rotate_lock)
        self._opening = threading.Lock()
        self._descriptor = -1
        self._since_look = 0
        self._torn = False
        self._unsynced = False
        self.process = _process_token()
        if hasattr(os, "register_at_fork"):
            forked = weakref.WeakMethod(self._forked)
            os.register_at_fork(after_in_child=lambda: (method := forked()) and method())

    def append(self, line: bytes) -> None:
        """Writes one line, newline included. Raises `OSError` when the disk does not take it; nothing is kept then."""
        descriptor = self._descriptor
        if descriptor < 0:
            descriptor = self._open()
        if self._torn:
            line = b"\n" + line
        if os.write(descriptor, line) != len(line):
            # A disk that is nearly full took a part: the next line starts by ending it, and this one is not kept.
            self._torn = True
            raise OSError(errno.ENOSPC, "the disk took only a part of a line", str(self._layout.log_file))
        self._torn = False
        if self._durability == "strict":
            os.fdatasync(descriptor)
        else:
            self._unsynced = True
        self._since_look += len(line)
        if self._since_look >= self._look_after_bytes:
            with suppress(OSError):  # the line is kept; a later look makes the next file
                self.look()

    def look(self) -> None:
        """Follows a rotation that another process made, or makes one where the file is full."""
        self._since_look = 0
        if self._descriptor < 0:
            return
        with self._opening:
            # A file that somebody emptied has lost its header: `_replace_descriptor` sets it aside and begins another.
            if _same_file(self._descriptor, self._layout.log_file) and _is_journal(self._descriptor):
                if os.fstat(self._descriptor).st_size < self._max_bytes:
                    return
                self._rotate()
            self._replace_descriptor()

    def sync(self) -> None:
        """Brings what was written to the disk, where the level asks for it."""
        if self._unsynced and self._durability != "process" and self._descriptor >= 0:
            self._unsynced = False
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Ends writing; a later `append` opens the file again."""
        with self._opening:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)

    def _open(self) -> int:
        with self._opening:
            if self._descriptor < 0:
                descriptor = self._open_current()
                greeting = ProcessBegin(
                    self.process, iso(time.time_ns()), "info", "process_started", f"Process {os.getpid()} writes",
                    os.getpid(), socket.gethostname(), self._resource(),
                )  # fmt: skip
                try:
                    line = encode_line(greeting)
                    self._torn = os.write(descriptor, line) != len(line)
                except BaseException:
                    os.close(descriptor)
                    raise
                self._descriptor = descriptor
            return self._descriptor

    def _replace_descriptor(self) -> None:
        """Swaps the file under the same descriptor number: a thread that is about to write needs no lock."""
        fresh = self._open_current()
        os.dup2(fresh, self._descriptor, inheritable=False)
        # dup2 shares the open file, and with it the shared lock; the spare number can go.
        os.close(fresh)

    def _open_current(self) -> int:
        """Opens the current log file with the shared lock held, making it where there is none."""
        self._layout.prepare()
        path = self._layout.log_file
        while True:
            try:
                descriptor = open_private(path, os.O_RDWR | os.O_APPEND)
            except FileNotFoundError:
                self._create_current()
                continue
            try:
                if _share(descriptor) and _same_file(descriptor, path):
                    if _is_journal(descriptor):
                        _end_last_line(descriptor)
                        return descriptor
                    self._set_foreign_aside()
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _create_current(self) -> None:
        with self._rotate_lock:
            if not self._layout.log_file.exists():
                self._create_locked(self._number_after_rotated())

    def _number_after_rotated(self) -> int:
        rotated = self._layout.rotated_files()
        return int(rotated[-1].name.rpartition(".")[2]) + 1 if rotated else 1

    def _create_locked(self, number: int) -> None:
        """Makes the next file with its header; it appears whole under its name, by a link."""
        layout = self._layout
        header = FileBegin(
            os.urandom(12).hex(), iso(time.time_ns()), "debug", "journal_started", f"Journal file {number}", number
        )
        draft = layout.log_file.with_name(f".{layout.log_file.name}.{os.getpid()}.{threading.get_ident()}")
        descriptor = open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            line = encode_line(header)
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, "the disk took only a part of the first line", str(layout.log_file))
            with suppress(FileExistsError):
                os.link(draft, layout.log_file)
        finally:
            os.close(descriptor)
            draft.unlink()

    def _rotate(self) -> None:
        """Renames the full file and makes the next one; nothing if another process has just done it."""
        if not self._rotate_lock.acquire(timeout_s=1.0):
            return
        try:
            if _same_file(self._descriptor, self._layout.log_file):
                header = read_header(self._layout.log_file)
                number = max(header.number if header else 1, self._number_after_rotated())
                os.rename(self._layout.log_file, self._layout.rotated_file(number))
                self._create_locked(number + 1)
        finally:
            self._rotate_lock.release()

    def _set_foreign_aside(self) -> None:
        """A log file that is not ours (the seed's, or anything else) is kept under another name, never mixed or deleted."""
        with self._rotate_lock:
            path = self._layout.log_file
            try:
                descriptor = open_private(path, os.O_RDONLY)
            except FileNotFoundError:
                return
            try:
                if not _is_journal(descriptor):
                    os.rename(path, path.with_name(f"{path.stem}.before.{time.time_ns()}{path.suffix}"))
            finally:
                os.close(descriptor)

    def _forked(self) -> None:
        """In a forked child: its own file, its own name; the parent's descriptor and locks are left alone."""
        descriptor, self._descriptor = self._descriptor, -1
        self._opening = threading.Lock()
        self._rotate_lock.forget()
        self.process = _process_token()
        if descriptor >= 0:
            os.close(descriptor)


def read_header(path: Path) -> FileBegin | None:
    """The header of a journal file; None if the file is gone or is not one of ours."""
    try:
        with path.open("rb") as file:
            return header_in(file)
    except FileNotFoundError:
        return None


def header_in(file: IO[bytes]) -> FileBegin | None:
    """The header of an open journal file, which is at its start; None if it is not one of ours."""
    first = file.readline(4096)
    if not first.startswith(_HEADER_START):
        return None
    try:
        return msgspec.json.decode(first, type=FileBegin)
    except msgspec.DecodeError:
        return None


def _share(descriptor: int) -> bool:
    """Takes the shared lock; False where a drain has the file to itself, which happens to rotated ones alone."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _process_token() -> str:
    return f"{os.getpid()}-{os.urandom(6).hex()}"


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _is_journal(descriptor: int) -> bool:
    start = os.pread(descriptor, len(_HEADER_START), 0)
    return start == _HEADER_START


def _end_last_line(descriptor: int) -> None:
    """A torn last line of a dead writer must not swallow the first line of the next one."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")
