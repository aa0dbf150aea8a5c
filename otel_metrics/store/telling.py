"""Owns SQLite's errors in our words: which of them mean that a database is damaged, and what there is to do then."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otel_metrics.errors import OtelMetricsError, StoreDamaged, StoreError

_DAMAGE = (
    "malformed",
    "no such table",
    "no such column",
    "already exists",
    "duplicate column",
    "unsupported file format",
    "UTF-8",
    "BLOB values",
)
REPAIR = "run `otel-metrics doctor --repair`"


@contextmanager
def blaming(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """What fails over values that the database should not hold is the database's fault, and is said so."""
    try:
        yield
    except (OtelMetricsError, OSError, sqlite3.Error, UnicodeDecodeError):
        raise
    except Exception as error:
        from otel_metrics.store.soundness import fault_in

        if fault := fault_in(connection):
            raise damaged(path, fault) from error
        raise


@contextmanager
def not_made_yet(path: Path) -> Iterator[None]:
    """A database that somebody is about to make: what is not there yet is no damage."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path} has no tables yet", "a store", "it is made by the first bot that records") from error


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """SQLite's errors in our words."""
    try:
        yield
    except UnicodeDecodeError as error:  # what SQLite says of a damaged file may hold pieces of it
        raise damaged(path, error) from error
    except sqlite3.DatabaseError as error:
        if _is_damage(error, path):
            raise damaged(path, error) from error
        raise StoreError(f"{path}: {error}", "a database that can be opened", "see `otel-metrics doctor`") from error


def _is_damage(error: sqlite3.DatabaseError, path: Path) -> bool:
    """Whether it is the file's fault. SQLite also calls it a mere error where tables are not there that must be."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_READONLY:
        return is_of_unknown_format(path)
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or any(word in str(error) for word in _DAMAGE)


def is_of_unknown_format(path: Path) -> bool:
    """SQLite takes a file for one that may only be read if the numbers of its format are higher than it knows."""
    with path.open("rb") as file:
        return max(file.read(20)[18:], default=0) > 2


def damaged(path: Path, why: object) -> StoreDamaged:
    """The error that says so, with the way out."""
    return StoreDamaged(f"{path} is damaged ({why})", "a sound SQLite database", REPAIR)
