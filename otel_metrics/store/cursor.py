"""Owns the cursor of forwarding: how far each journal file has been sent on, in a small file that is replaced whole."""

import os
from pathlib import Path

import msgspec

from otel_metrics.store.layout import StoreLayout, open_private


class Cursor(msgspec.Struct):
    """Byte offsets by the ids of the journal files, and what there is to tell of the sending. Times are ISO-8601 UTC."""

    positions: dict[str, int] = {}
    sent: int = 0
    refused: int = 0
    last_sent: str = ""
    failing_since: str = ""

    def unsent_bytes(self, journal_id: str, size: int) -> int:
        """How much of a file of `size` bytes is still to be sent."""
        return max(0, size - self.positions.get(journal_id, 0))


def load_cursor(layout: StoreLayout) -> Cursor | None:
    """The cursor; None where nothing was ever to be sent on.

    One that can not be read gives an empty one: everything that the journal holds is sent again, rather than not.
    """
    try:
        return msgspec.json.decode(layout.forward_file.read_bytes(), type=Cursor)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        return Cursor()


class CursorDraft:
    """The next state of the cursor, on the disk before the lines are sent, so that only a rename is left to do after it.

    A full disk shows itself here, and not when the lines have gone out and can not be marked as sent.
    """

    def __init__(self, layout: StoreLayout, cursor: Cursor) -> None:
        self._path = layout.forward_file
        self._draft = self._path.with_name(f".{self._path.name}.draft")
        _write(self._draft, msgspec.json.encode(cursor) + b"\n")

    def keep(self) -> None:
        """Makes it the cursor."""
        self._draft.rename(self._path)


def save_cursor(layout: StoreLayout, cursor: Cursor) -> None:
    """Replaces the cursor. Call only while holding the forward lock."""
    CursorDraft(layout, cursor).keep()


def _write(path: Path, data: bytes) -> None:
    descriptor = open_private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        if os.write(descriptor, data) != len(data):
            raise OSError(28, "the disk took only a part of the cursor", str(path))
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
