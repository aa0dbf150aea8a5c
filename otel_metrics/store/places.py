"""Owns where a journal file is read on: by its id and offset, and where damage took these, by what its lines say themselves."""

import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO

from otel_metrics.model.records import FileBegin
from otel_metrics.store.journal_files import first_own_line, header_in
from otel_metrics.store.lines import number_of, writer_of

_FIRST_LINES = 15
_LAST = "CAST(last AS INTEGER)"  # a damaged database may hold anything here


def header_at(path: Path) -> FileBegin | None:
    """The header of a journal file, or what stands in for it; None if the file is gone or is not one of ours."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        return header_or_stand_in(file)
    return None


def header_or_stand_in(file: IO[bytes]) -> FileBegin | None:
    """The header of an open journal file. A file of ours without a readable one is known by the first line in it that is ours."""
    file.seek(0)
    header = header_in(file)
    if header is not None:
        return header
    line = first_own_line(file)
    if not line:
        return None
    name = f"headless-{hashlib.sha256(line).hexdigest()[:16]}"
    return FileBegin(name, "", "debug", "journal_started", "", 0)


def place_in(connection: sqlite3.Connection, file: IO[bytes], known: int | None) -> int:
    """The offset to read on from. `known` is the one that was noted, None for a file that is new.

    A file may be known and yet seem new, when its header is damaged; and a file that was cut off and grew again has no
    line end where it is to be read on. Then the numbers of its lines tell which have been read.
    """
    if known is not None:
        if _is_line_end(file, known):
            return known
    elif _is_unread(connection, file):
        return 0
    return _first_unread(file, _read_up_to(connection, file))


def _is_line_end(file: IO[bytes], offset: int) -> bool:
    if not 0 < offset <= os.fstat(file.fileno()).st_size:
        return False
    file.seek(offset - 1)
    return file.read(1) == b"\n"


def _is_unread(connection: sqlite3.Connection, file: IO[bytes]) -> bool:
    """Whether most of the first lines with a number have not been read yet."""
    new = old = 0
    for _, writer, number in islice(_numbered(file), _FIRST_LINES):
        row = connection.execute(f"SELECT {_LAST} FROM ledgers WHERE process = ?", (writer,)).fetchone()
        is_new = row is None or number > row[0]
        new, old = new + is_new, old + (not is_new)
    return new >= old


def _read_up_to(connection: sqlite3.Connection, file: IO[bytes]) -> dict[str, int]:
    """For each writer the number up to which its lines in this file have been read.

    Where as many of its lines are missing as this file has, these may be the missing ones: a later file was read first.
    """
    ledgers = {
        process: (last, last - base - stored)
        for process, last, base, stored in connection.execute(
            "SELECT process, CAST(last AS INTEGER), CAST(base AS INTEGER), CAST(stored AS INTEGER) FROM ledgers"
        )
    }
    numbers = ((writer, number) for _, writer, number in _numbered(file) if writer in ledgers)
    here = Counter(writer for writer, number in numbers if number <= ledgers[writer][0])
    return {writer: ledgers[writer][0] for writer, count in here.items() if ledgers[writer][1] < count}


def _first_unread(file: IO[bytes], last: dict[str, int]) -> int:
    """Where the first line begins that has not been read: the place before which most lines are old, and most are new behind.

    So numbers and names that are damaged themselves do not lead astray.
    """
    place: int | None = 0
    surplus = most = 0
    for start, writer, number in _numbered(file):
        place = start if place is None else place
        surplus += 1 if number <= last.get(writer, 0) else -1
        if surplus > most:
            place, most = None, surplus
    return _end_of_lines(file) if place is None else place


def _numbered(file: IO[bytes]) -> Iterator[tuple[int, str, int]]:
    """Offset, writer and number of each whole line that has one."""
    start = 0
    file.seek(0)
    for line in file:
        if line.endswith(b"\n") and (number := number_of(line[:-1])):
            yield start, writer_of(line), number
        start += len(line)


def _end_of_lines(file: IO[bytes]) -> int:
    """Behind the last line end."""
    file.seek(0)
    start = 0
    for line in file:
        start += len(line) if line.endswith(b"\n") else 0
    return start
