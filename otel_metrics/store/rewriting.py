"""Owns the replacing of a file of lines by itself with some lines changed: the old one or the new one, whatever dies when."""

import os
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from otel_metrics.store.journal_files import sync_folder
from otel_metrics.store.layout import open_private

_DRAFT = ".rewrite"
Keep = Callable[[bytes], bytes | None]
"""What stays of a line, which is given without its line end; None if nothing does."""


class Positions:
    """Where the beginnings of a file's lines went to when it was rewritten."""

    def __init__(self) -> None:
        self._ends = [0]
        self._moved_by = [0]

    def note(self, end: int, moved_by: int) -> None:
        """A changed line ended at `end` in the old file; from there on everything has moved by so much."""
        self._ends.append(end)
        self._moved_by.append(moved_by)

    def new(self, old: int) -> int:
        """The new offset for the old offset of a line's beginning, or of the end of the file."""
        return old + self._moved_by[bisect_right(self._ends, old) - 1]


def rewrite(path: Path, keep: Keep, before_rename: Callable[[Positions], object] = lambda _: None) -> bool:
    """Passes every line through `keep`; False if that changed nothing, and the file is as it was then.

    The new file has the age of the old one, by which retention goes. `before_rename` is told how positions move, when
    the new file is on the disk and about to take the place of the old one.
    """
    draft = _draft_of(path)
    positions = Positions()
    with path.open("rb") as old:
        status = os.fstat(old.fileno())
        first = _first_change(old, keep)
        if first is None:
            return False
        old.seek(0)
        with os.fdopen(open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as new:
            _copy(old, new, first)
            _filter(old, new, keep, positions)
            new.flush()
            os.fsync(new.fileno())
    os.utime(draft, ns=(status.st_atime_ns, status.st_mtime_ns))
    before_rename(positions)
    draft.rename(path)
    sync_folder(path.parent)
    return True


def remove_drafts(folder: Path) -> None:
    """Removes what rewritings left behind that died."""
    for name in os.listdir(folder):
        if name.startswith(".") and name.endswith(_DRAFT):
            with suppress(FileNotFoundError):
                folder.joinpath(name).unlink()


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}{_DRAFT}")


def _first_change(file: IO[bytes], keep: Keep) -> int | None:
    """Where the first line begins that is not kept as it is."""
    offset = 0
    for line in file:
        content = line.removesuffix(b"\n")
        if content and keep(content) != content:
            return offset
        offset += len(line)
    return None


def _copy(old: IO[bytes], new: IO[bytes], size: int) -> None:
    while size:
        piece = old.read(min(size, 1 << 20))
        new.write(piece)
        size -= len(piece)


def _filter(old: IO[bytes], new: IO[bytes], keep: Keep, positions: Positions) -> None:
    offset, moved_by = old.tell(), 0
    for line in old:
        offset += len(line)
        content = line.removesuffix(b"\n")
        kept = keep(content) if content else content
        if kept == content:
            new.write(line)
            continue
        changed = b"" if kept is None else kept + line[len(content) :]
        new.write(changed)
        moved_by += len(changed) - len(line)
        positions.note(offset, moved_by)
