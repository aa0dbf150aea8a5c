"""Owns the manifest of the segments: which files hold the cold rows, and when one that is not needed any more goes."""

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from otel_metrics.store.alive import is_alive
from otel_metrics.store.layout import StoreLayout

_SPILL = ".spill-"
"""Where DuckDB puts what does not fit into memory, within the folder of the segments."""
_MAGIC = b"PAR1"
_DRAFT, _DAMAGED = ".draft", ".damaged-"
_NAME = re.compile(r"([a-z_]+)-(\d{4,}-\d\d-\d\d)-([0-9a-f]{16})-[0-9a-f]{8}-([0-9a-f]{16})\.parquet")
GRACE_NS = 10 * 60 * 1_000_000_000
"""So long a retired segment stays: who read the manifest before may still open it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of cold rows of one table and one UTC day. Times are ISO-8601 UTC text."""

    name: str
    table: str
    day: str
    rows: int
    bytes: int
    first_time: str
    last_time: str


def listed(connection: sqlite3.Connection) -> list[Segment]:
    """The segments that count, in order of table and time."""
    found = connection.execute(
        "SELECT name, table_name, day, rows, bytes, first_time, last_time FROM segments ORDER BY table_name, day, name"
    )
    return [Segment(*row) for row in found]


def draft_name(store: str, table: str, day: str) -> str:
    """The name of a segment while it is made: table, day, the database that it belongs to, and random digits."""
    return f"{table}-{day}-{store}-{os.urandom(4).hex()}.parquet{_DRAFT}"


def keep_draft(draft: Path) -> Path:
    """Gives a whole file its name: that of the draft and a digest of what is in it, so that damage shows.

    A flipped bit in a Parquet file mostly reads as another value, without an error.
    """
    stem = draft.name.removesuffix(f".parquet{_DRAFT}")
    return draft.rename(draft.with_name(f"{stem}-{_digest_of(draft)}.parquet"))


def day_of(path: Path) -> tuple[str, str] | None:
    """Table and UTC day of a whole segment, as its name tells; None for any other file."""
    found = _NAME.fullmatch(path.name)
    return (found[1], found[2]) if found else None


def foreign(connection: sqlite3.Connection, layout: StoreLayout) -> list[Path]:
    """Whole segments that another database made and this one does not list: it was set aside, or is a copy of this one."""
    known = _known(connection)
    own = store_number(connection)
    found = [(path, _NAME.fullmatch(path.name)) for path in files_of(layout)]
    return [path for path, name in found if name and name[3] != own and path.name not in known]


def _known(connection: sqlite3.Connection) -> set[str]:
    """The names of all segments that the database has to do with: those that count, and retired ones."""
    return {
        row[0] for row in connection.execute("SELECT name FROM segments UNION ALL SELECT name FROM retired_segments")
    }


def set_aside(layout: StoreLayout, name: str) -> Path:
    """Renames a segment that can not be read, so that nobody takes it for one; gives its new name."""
    path = layout.segments_folder / name
    return path.rename(path.with_name(f"{name}{_DAMAGED}{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"))


def files_set_aside(layout: StoreLayout) -> list[Path]:
    """The segments that were set aside as damaged."""
    return [path for path in files_of(layout) if _DAMAGED in path.name]


def store_number(connection: sqlite3.Connection) -> str:
    """Who made this database, as 16 hex digits."""
    (number,) = connection.execute("SELECT value FROM counters WHERE name = 'store'").fetchone()
    return f"{number:016x}"


def enter(connection: sqlite3.Connection, segments: Iterable[Segment]) -> None:
    """Writes new segments into the manifest. Call inside the transaction that takes their rows from where they were."""
    connection.executemany(
        "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(one.name, one.table, one.day, one.rows, one.bytes, one.first_time, one.last_time) for one in segments],
    )
    connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'generation'")


def retire_before(connection: sqlite3.Connection, cutoff: str, now_ns: int) -> list[Segment]:
    """Retires the segments that hold nothing from `cutoff` (ISO-8601 UTC text) on, and gives them."""
    old = [one for one in listed(connection) if one.last_time < cutoff]
    if old:
        retire(connection, [one.name for one in old], now_ns)
    connection.execute("DELETE FROM archived_sessions WHERE day < ?", (cutoff[:10],))
    return old


def retire(connection: sqlite3.Connection, names: Iterable[str], now_ns: int) -> None:
    """Takes segments out of the manifest; their files go later. Call inside a transaction."""
    keys = list(names)
    connection.executemany("DELETE FROM segments WHERE name = ?", [(name,) for name in keys])
    connection.executemany("INSERT OR REPLACE INTO retired_segments VALUES (?, ?)", [(name, now_ns) for name in keys])
    connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'generation'")


def strike(connection: sqlite3.Connection, name: str) -> None:
    """Takes one that can not be read out of the manifest, whatever becomes of its file. Call inside a transaction."""
    connection.execute("DELETE FROM segments WHERE name = ?", (name,))
    connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'generation'")


def sweep(connection: sqlite3.Connection, layout: StoreLayout, now_ns: int, grace_ns: int = GRACE_NS) -> list[str]:
    """Deletes the files of retired segments, and those that a compaction began and did not live to enter.

    Files of another database's segments stay: it may have been set aside, and they hold what is nowhere else. Gives
    the names of what went. Call only while holding the drain lock.
    """
    due = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM retired_segments WHERE retired_ns NOT BETWEEN ? AND ?", (now_ns - grace_ns, now_ns)
        )
    ]
    known = _known(connection)
    own = f"-{store_number(connection)}-"
    found = [path.name for path in files_of(layout) if _DAMAGED not in path.name and path.name not in known]
    orphans = [name for name in found if own in name or name.endswith(_DRAFT)]
    _sweep_spill(layout)
    for name in (*due, *orphans):
        with suppress(FileNotFoundError):
            (layout.segments_folder / name).unlink()
    connection.executemany("DELETE FROM retired_segments WHERE name = ?", [(name,) for name in due])
    return [*due, *orphans]


def missing_or_broken(layout: StoreLayout, segments: Iterable[Segment]) -> dict[str, str]:
    """What is wrong with the files of the manifest, in words, by the name of the segment.

    Reads them whole, about half a second for ten million rows.
    """
    faults = {}
    for one in segments:
        path = layout.segments_folder / one.name
        try:
            sound = path.stat().st_size == one.bytes and is_sound(path)
        except OSError as error:
            faults[one.name] = f"{path} can not be read ({error.strerror})"
            continue
        if not sound:
            faults[one.name] = f"{path} is damaged"
    return faults


def is_sound(path: Path) -> bool:
    """Whether a file is what was written under its name."""
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            return False
    found = _NAME.fullmatch(path.name)
    return found is None or found[4] == _digest_of(path)


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def spill_folder(layout: StoreLayout) -> Path:
    """A folder of this process for what does not fit into memory; private, since that of the segments is. Made by who needs it."""
    return layout.segments_folder / f"{_SPILL}{os.getpid()}-{os.urandom(4).hex()}"


def _sweep_spill(layout: StoreLayout) -> None:
    """What processes left there that are gone."""
    for folder in layout.segments_folder.glob(f"{_SPILL}*"):
        pid = folder.name.removeprefix(_SPILL).partition("-")[0]
        if not (pid.isdigit() and is_alive(int(pid))):
            shutil.rmtree(folder, ignore_errors=True)


def files_of(layout: StoreLayout) -> list[Path]:
    """Every file in the folder of the segments, drafts included."""
    try:
        names = sorted(os.listdir(layout.segments_folder))
    except FileNotFoundError:
        return []
    return [layout.segments_folder / name for name in names if ".parquet" in name]
