"""Owns backups: a copy of the database of one moment, made while others write, and the key that belongs to it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from otel_metrics.errors import SettingError, StoreDamaged, StoreError
from otel_metrics.store.database import APPLICATION_ID, reading
from otel_metrics.store.journal_files import has_no_writer, read_header, same_file, sync_folder
from otel_metrics.store.layout import StoreLayout, open_private
from otel_metrics.store.own_files import is_of_store
from otel_metrics.store.segment_copies import check_folder, copy_segments, remove_others
from otel_metrics.store.segments import listed

_MAGIC = b"SQLite format 3\0"
_APPLICATION_AT = slice(68, 72)
_KEY_BYTES = 32
_MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What was made: the copy, its size with that of the segments, its sessions, and the copy of the key if the store has one in a file."""

    path: Path
    size_bytes: int
    sessions: int
    key: Path | None
    segments: int = 0
    segments_bytes: int = 0


def back_up(layout: StoreLayout, path: Path) -> BackupReport:
    """Copies tables to `path`, segments to the folder `path` + ".segments", the key to `path` + ".key".

    An older backup there is replaced; segments that it has already are not copied again.

    Put in the place of the database beside its log, the copy goes on where it was: what came later is read from the
    log. Raises `SettingError` for a path that can not be used, `StoreDamaged` where the copy is not sound; an older
    backup stays then.
    """
    key = _key_beside(path)
    _check(layout, path, key)
    if not layout.database.exists():
        raise StoreError(
            f"there is no database at {layout.database}", "one in which something was recorded", "name another"
        )
    target = StoreLayout(path, path.with_suffix(".jsonl"))
    with _draft_of(path) as draft:
        for tries_left in reversed(range(_MOST_TRIES)):
            with closing(sqlite3.connect(draft)) as copy, reading(layout.database) as source, _telling(path):
                source.backup(copy)
            with closing(sqlite3.connect(draft)) as copy, _telling(path):
                sessions = _finish(copy, layout.database)
                segments = listed(copy)
            if copy_segments(layout, target, segments, may_be_gone=tries_left > 0):
                break
        has_key = _copy_key(layout, key)
        _into_place(draft, path)
    remove_others(target, segments)
    size = sum(one.bytes for one in segments)
    return BackupReport(path, path.stat().st_size + size, sessions, key if has_key else None, len(segments), size)


def _key_beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.key")


def _check(layout: StoreLayout, path: Path, key: Path) -> None:
    if not path.name or path.is_dir() or (path.exists() and not path.is_file()):
        raise SettingError(f"{path} is no plain file", "the name of a file to write", "give another path")
    if not path.absolute().parent.is_dir():
        raise SettingError(
            f"there is no folder {path.absolute().parent}", "a folder that exists", "make it, or give another path"
        )
    if is_of_store(layout, path):
        raise SettingError(f"{path} is a file of the store", "another file", "give another path")
    if path.exists() and not _is_older_backup(path):
        raise SettingError(
            f"{path} is there and no backup", "an older backup or a new file", "give another path or remove it"
        )
    check_folder(StoreLayout(path, path))
    if key.exists() and not (key.is_file() and key.stat().st_size == _KEY_BYTES):
        raise SettingError(
            f"{key} is there and no key of a backup", "an older one or none", "give another path or remove it"
        )


def _is_older_backup(path: Path) -> bool:
    """An empty file, or a database of ours that is nobody's store: none has it open or writes a log beside it."""
    with path.open("rb") as file:
        start = file.read(100)
    if not start:
        return True
    ours = start.startswith(_MAGIC) and start[_APPLICATION_AT] == APPLICATION_ID.to_bytes(4, "big")
    return ours and not path.with_name(f"{path.name}-wal").exists() and read_header(path.with_suffix(".jsonl")) is None


@contextmanager
def _draft_of(path: Path) -> Iterator[Path]:
    """A private file beside the target, empty, which only one process has; what a dead one left behind is used again."""
    draft = path.with_name(f".{path.name}.draft")
    descriptor = open_private(draft, os.O_RDWR | os.O_CREAT)
    try:
        if not has_no_writer(descriptor) or not same_file(descriptor, draft):
            raise StoreError(
                f"another process makes a backup at {path}", "one at a time", "wait for it, then try again"
            )
        os.ftruncate(descriptor, 0)
        _remove_satellites(draft)
        yield draft
    finally:
        if same_file(descriptor, draft):
            _remove_satellites(draft)
            draft.unlink()
        os.close(descriptor)  # not before SQLite is done: closing takes away its locks on the file


def _remove_satellites(draft: Path) -> None:
    for end in ("-wal", "-shm", "-journal"):
        draft.with_name(draft.name + end).unlink(missing_ok=True)


def _finish(connection: sqlite3.Connection, database: Path) -> int:
    """Makes one file of the copy, and sure that it is sound; gives the number of sessions.

    What the original moves into segments from now on is not of the copy: it gets another number.
    """
    try:
        result = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        result = str(error)
    if result != "ok":
        raise StoreDamaged(f"{database} is damaged ({result})", "a sound database to copy", "see `otel-metrics doctor`")
    connection.execute("PRAGMA journal_mode = DELETE")
    with connection:
        connection.execute("UPDATE counters SET value = random() & 0x7fffffffffffffff WHERE name = 'store'")
    cold = "(SELECT coalesce(sum(rows), 0) FROM segments WHERE table_name = 'sessions')"
    return int(connection.execute(f"SELECT count(*) + {cold} FROM sessions").fetchone()[0])


def _copy_key(layout: StoreLayout, key: Path) -> bool:
    try:
        content = layout.key_file.read_bytes()
    except FileNotFoundError:  # the key is a setting
        return False
    draft = key.with_name(f".{key.name}.draft")
    descriptor = open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    _into_place(draft, key)
    return True


def _into_place(draft: Path, path: Path) -> None:
    descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(path)
    sync_folder(path.absolute().parent)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """SQLite's errors about the copy in our words; those about the database come in them."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"{path} could not be written ({error})", "a disk with room for the copy", "make room or give another path"
        ) from error  # fmt: skip
