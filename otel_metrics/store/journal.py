"""Owns the writing end of the journal: one whole line by one write, by any number of processes, through rotations."""

import errno
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count, islice
from typing import Any

from otel_metrics.model.records import FileBegin, ProcessBegin, encode_line
from otel_metrics.model.times import iso, to_ns
from otel_metrics.store import journal_files as files
from otel_metrics.store.forks import in_children
from otel_metrics.store.layout import StoreLayout, open_private
from otel_metrics.store.lines import tail_of
from otel_metrics.store.locks import FileLock
from otel_metrics.store.turns import Turns

_LOOK_AFTER_BYTES = 262_144  # so much of its own output makes a writer look at the file's size and name
_DAY_NS = 86_400_000_000_000
_DESK_WAIT_S = 10.0
_RECENT_BYTES = 1 << 20


class NotConfirmedError(OSError):
    """The line is in the file, as at the level `process`; the disk did not confirm it."""


class Journal:
    """Appends lines to the log file.

    Every open file is held with a shared lock for as long as this process may write to it, so that a reader that gets
    the exclusive one knows that no more lines will come. A line is acknowledged when `append` returns: from then on it
    survives the death of the process (`durability="process"`) or of the machine (`"strict"`; `"interval"`: but for
    the last 100 ms).

    Each line ends with its writer and its number: 1, 2, 3 … without a gap, in the order of the file but for a line
    that a signal's handler interrupted and overtook. So a reader can tell whether anything is missing. `forwards` says
    that the lines of this process are to be sent on by OTLP.
    """

    def __init__(
        self,
        layout: StoreLayout,
        *,
        max_bytes: int,
        durability: str = "process",
        resource: Callable[[], dict[str, Any]] = dict,
        forwards: bool = False,
    ) -> None:
        self._layout = layout
        self.log_file = layout.log_file.absolute()
        self._max_bytes = max_bytes
        self._look_after_bytes = min(_LOOK_AFTER_BYTES, max_bytes // 4)
        self._durability = durability
        self._resource = resource
        self.forwards = forwards
        self._rotate_lock = FileLock(layout.rotate_lock)
        # Re-entrant: a signal's handler may record while this thread is writing.
        self._writing = threading.RLock()
        self._appending = False
        self._turns = Turns()
        self._descriptor = -1
        self._since_look = 0
        self._torn = False
        self._unsynced = False
        self._left: list[int] = []
        self._born_ns = 0
        self._begin_numbering()
        in_children(self._forked)

    def _begin_numbering(self) -> None:
        self.process = f"{os.getpid()}-{os.urandom(6).hex()}"
        self._tail = tail_of(self.process)
        self.written = 0
        self._numbers = count(1)

    def append(self, line: bytes) -> None:
        """Writes one line, newline included. Raises `OSError` when the disk does not take it; nothing is kept then."""
        with self._writing:
            interrupting = self._appending
            try:
                self._appending = True
                if self._descriptor < 0:
                    self._open()
                self._write(line)
                # Not in a signal's handler: what it interrupted may be about to write to the file that is open.
                if self._since_look >= self._look_after_bytes and not interrupting:
                    with suppress(OSError):  # the line is kept; a later look makes the next file
                        self.look()
            finally:
                self._appending = interrupting

    def _write(self, line: bytes) -> None:
        """Puts writer and number behind the fields of a line and writes it; a number is used up only by a line that is kept."""
        taken: list[int] = []
        try:
            taken.extend(islice(self._numbers, 1))  # taken and noted in one step, which no handler can come between
            self._put(b"%s%s%d}\n" % (line[:-2], self._tail, taken[0]))
        except BaseException:
            # The disk refused it, or a signal's handler raised: before the line was written, or behind it.
            if taken and not self._has_written(taken[0]):
                self._give_back(taken[0], line)
            raise
        self.written = max(self.written, taken[0])
        if self._durability == "strict":
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                raise NotConfirmedError(error.errno, error.strerror, str(self._layout.log_file)) from error
        else:
            self._unsynced = True

    def _give_back(self, number: int, line: bytes) -> None:
        """The next line gets the number; where a handler has used later ones, this line is written after all."""
        (following,) = islice(self._numbers, 1)
        if following == number + 1:
            self._numbers = count(number)
        else:
            self._numbers = count(following)
            self._put(b"%s%s%d}\n" % (line[:-2], self._tail, number))
            self.written = max(self.written, number)

    def _put(self, line: bytes) -> None:
        whole = b"\n" + line if self._torn else line
        taken = self._turns.write(self._descriptor, whole)
        self._torn = taken < len(whole)
        if taken < len(whole) - 1:
            # A disk that is nearly full took a part: the next line starts by ending it, and this one is not kept.
            raise OSError(errno.ENOSPC, "the disk took only a part of a line", str(self._layout.log_file))
        self._since_look += taken

    def _has_written(self, number: int) -> bool:
        """Whether the line of this number is in the file; looked for where nothing else can tell."""
        try:
            size = os.fstat(self._descriptor).st_size
            recent = os.pread(self._descriptor, _RECENT_BYTES, max(0, size - _RECENT_BYTES))
        except OSError:  # a disk that can not be read either: it has refused the line
            return False
        return b"%s%d}" % (self._tail, number) in recent

    def look(self) -> None:
        """Follows a rotation that another process made, or makes one where the file is full or a day old."""
        with self._writing:
            self._since_look = 0
            if self._descriptor < 0:
                return
            # A file that somebody emptied has lost its header: opening anew sets it aside and begins another.
            if files.same_file(self._descriptor, self._layout.log_file) and files.header_of(self._descriptor):
                if not self._is_over():
                    return
                if self._rotate_lock.acquire():  # never waits: this may be a bot's event loop
                    try:
                        self._rename_own()
                    finally:
                        self._rotate_lock.release()
            self._follow()

    def rotate(self) -> None:
        """Begins the next file now, whatever the size of this one. For a desk: it waits for the lock, up to 10 s."""
        with self._writing:
            if self._descriptor < 0:
                self._open()
            if not self._rotate_lock.acquire(_DESK_WAIT_S):
                raise TimeoutError(f"{self._layout.rotate_lock} was held by another process for {_DESK_WAIT_S:.0f} s")
            try:
                self._rename_own()
            finally:
                self._rotate_lock.release()
            self._follow()

    def sync(self) -> None:
        """Brings what was written to the disk, where the level asks for it. Writers go on meanwhile."""
        if self._durability == "process":
            return
        with self._writing:
            descriptors, self._left = self._left, []
            if self._unsynced and self._descriptor >= 0:
                self._unsynced = False
                descriptors.append(os.dup(self._descriptor))
        failed = None
        for descriptor in descriptors:
            try:
                os.fdatasync(descriptor)
            except OSError as error:
                failed = error
            finally:
                os.close(descriptor)
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Ends writing; a later `append` opens the file again."""
        with self._writing:
            if self._descriptor >= 0:
                self._leave()
        with suppress(OSError):  # what the disk refuses to take now it can not be asked for again
            self.sync()

    def _leave(self) -> None:
        """Lets go of the open file; what is in it and not on the disk yet is left to the next `sync`."""
        descriptor, self._descriptor = self._descriptor, -1
        if self._unsynced and self._durability == "interval":
            self._left.append(descriptor)
        else:
            os.close(descriptor)

    def _is_over(self) -> bool:
        """Whether the file is full, or a day old: personal data in it must not stay for longer than its retention."""
        if os.fstat(self._descriptor).st_size >= self._max_bytes:
            return True
        return abs(time.time_ns() - self._born_ns) >= _DAY_NS

    def _rename_own(self) -> None:
        """Renames the file and makes the next one; nothing if another process has just done it."""
        if files.same_file(self._descriptor, self._layout.log_file):
            number = files.rename_current(self._layout)
            files.create_current(self._layout, number, to_disk=self._durability != "process")

    def _open(self) -> None:
        self._descriptor = self._open_current()
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _follow(self) -> None:
        """Swaps the file for the current one; the old one stays in use where that can not be opened."""
        fresh = self._open_current()
        self._leave()
        self._descriptor = fresh
        self._greet()

    def _greet(self) -> None:
        """Each file tells who writes to it, so that it can be read without the ones before it."""
        number = os.getpid()
        greeting = ProcessBegin(
            iso(time.time_ns()), "info", "process_started", f"Process {number} writes", number, socket.gethostname(),
            self._resource(), self.forwards,
        )  # fmt: skip
        with suppress(NotConfirmedError):  # the line that comes next says so
            self._write(encode_line(greeting))

    def _open_current(self) -> int:
        """Opens the current log file with the shared lock held, making it where there is none."""
        self._layout.prepare()
        path = self._layout.log_file
        while True:
            try:
                descriptor = open_private(path, os.O_RDWR | os.O_APPEND)
            except FileNotFoundError:
                files.create_current(self._layout, to_disk=self._durability != "process")
                continue
            try:
                header = files.header_of(descriptor)
                if header is not None and _is_of_an_earlier_boot(descriptor, header):
                    self._rotate_lost_tail(descriptor)
                elif files.share(descriptor) and files.same_file(descriptor, path):
                    if header is not None:
                        files.end_last_line(descriptor)
                        self._born_ns = to_ns(header.timestamp)
                        return descriptor
                    with self._rotate_lock:
                        files.set_foreign_aside(self._layout)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _rotate_lost_tail(self, descriptor: int) -> None:
        """After a power failure the file may have lost lines that the tables have: new ones must not take their places."""
        with self._rotate_lock:
            if files.same_file(descriptor, self._layout.log_file):
                number = files.rename_current(self._layout)
                files.create_current(self._layout, number, to_disk=True)

    def _forked(self) -> None:
        """In a forked child: its own file, its own name; the parent's descriptor and locks are left alone."""
        descriptors, self._left = [*self._left, self._descriptor], []
        self._descriptor = -1
        self._writing = threading.RLock()
        self._appending = False
        self._begin_numbering()
        self._torn = False
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)


def _is_of_an_earlier_boot(descriptor: int, header: FileBegin) -> bool:
    now = files.boot_id()
    return bool(header.boot and now and header.boot != now) and files.has_no_writer(descriptor)
