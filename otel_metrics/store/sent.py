"""Owns which stored spans a target has taken: one file for each target, eight bytes a span, which survives any death."""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from otel_metrics.errors import StoreError
from otel_metrics.store.layout import StoreLayout, open_private

KEY_BYTES = 8
_CHUNK_BYTES = 1 << 20
_LONGEST_HEADER = 4096


class SentTo(msgspec.Struct, tag_field="kind", tag="replay"):
    """The first line of the file: which target it is about."""

    target: str


class SentSpans:
    """The keys of the spans that a target has taken; one process at a time has it open.

    A place for the keys of a batch is taken on the disk before the batch is sent, so that a full disk shows itself
    then, and not when the spans are gone and can not be noted.
    """

    def __init__(self, layout: StoreLayout, target: str) -> None:
        """Raises `StoreError` where another process sends to the target from this store."""
        layout.prepare()
        self.path = layout.replay_file(hashlib.sha256(target.encode()).hexdigest()[:12])
        self._descriptor = open_private(self.path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise StoreError(
                f"another process replays this store to {target}", "one at a time", "wait for it, or end it"
            ) from None
        self._header = msgspec.json.encode(SentTo(target)) + b"\n"
        self._begin()

    def _begin(self) -> None:
        """The file may be new, or end in a place that was taken and never filled."""
        if os.pread(self._descriptor, len(self._header), 0) != self._header:
            self.forget()
        self._end = os.fstat(self._descriptor).st_size
        self._end -= (self._end - len(self._header)) % KEY_BYTES
        while self._end > len(self._header):
            start = max(len(self._header), self._end - _CHUNK_BYTES)
            start += (self._end - start) % KEY_BYTES
            filled = os.pread(self._descriptor, self._end - start, start).rstrip(b"\0")
            self._end = start + -(-len(filled) // KEY_BYTES) * KEY_BYTES
            if filled:
                break

    def __len__(self) -> int:
        return (self._end - len(self._header)) // KEY_BYTES

    def chunks(self) -> Iterator[bytes]:
        """All keys, some at a time, one behind another."""
        place = len(self._header)
        while place < self._end:
            chunk = os.pread(self._descriptor, min(_CHUNK_BYTES // KEY_BYTES * KEY_BYTES, self._end - place), place)
            place += len(chunk)
            yield chunk

    def reserve(self, count: int) -> None:
        """Makes room on the disk for so many keys. Raises `OSError` where there is none."""
        os.posix_fallocate(self._descriptor, self._end, count * KEY_BYTES)

    def add(self, keys: Sequence[int]) -> None:
        """Notes that these were taken."""
        data = b"".join(key.to_bytes(KEY_BYTES, "big") for key in keys)
        self._end += os.pwrite(self._descriptor, data, self._end)

    def forget(self) -> None:
        """As if nothing had been sent."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, self._header, 0)
        self._end = len(self._header)

    def close(self) -> None:
        """Lets go of the file."""
        os.ftruncate(self._descriptor, self._end)
        os.close(self._descriptor)


def replays(layout: StoreLayout) -> Iterator[tuple[str, int]]:
    """Each target that this store was replayed to, and how many of its spans it has taken or refused."""
    for path in sorted(layout.database.parent.glob(f"{layout.replay_file('').name}*")):
        if told := _told(path):
            yield told


def _told(path: Path) -> tuple[str, int] | None:
    with path.open("rb") as file:
        header = file.readline(_LONGEST_HEADER)
        try:
            target = msgspec.json.decode(header, type=SentTo).target
        except msgspec.DecodeError:
            return None
        return target, (os.fstat(file.fileno()).st_size - len(header)) // KEY_BYTES
