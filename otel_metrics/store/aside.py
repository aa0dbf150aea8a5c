"""Owns the setting aside of a database: under which name it goes, what goes with it, and what has gone so far."""

import os
from datetime import UTC, datetime
from pathlib import Path

_SIDES = ("-wal", "-shm", "-journal")
_MARK = ".damaged-"


def files_set_aside(database: Path) -> list[Path]:
    """What was set aside of a database, oldest first; each one is followed by what SQLite had beside it."""
    folder = database.parent
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [folder / name for name in names if name.startswith(database.name + _MARK)]


def databases_set_aside(database: Path) -> list[Path]:
    """The databases alone that were set aside."""
    return [path for path in files_set_aside(database) if not path.name.endswith(_SIDES)]


def set_aside(database: Path) -> Path:
    """Renames a database and what SQLite has beside it, over nothing; gives its new name. Call only while holding the drain lock.

    The database goes first: from then on nobody opens it anew. Who has it open goes on reading it.
    """
    name = _free_name(database)
    for side in ("", *_SIDES):
        path = _beside(database, side)
        if path.exists():
            path.rename(_beside(name, side))
    return name


def is_bereft(database: Path) -> bool:
    """Whether a database is gone or empty and its write-ahead log is not, which SQLite would delete then."""
    return not _size(database) and _size(_beside(database, "-wal")) > 0


def _free_name(database: Path) -> Path:
    while True:
        name = database.with_name(f"{database.name}{_MARK}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
        if not any(_beside(name, side).exists() for side in ("", *_SIDES)):
            return name


def _beside(database: Path, side: str) -> Path:
    return database.with_name(database.name + side)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
