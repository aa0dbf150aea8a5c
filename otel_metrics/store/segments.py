"""Owns the manifest of the segments: which files hold the cold rows, and when one that is not needed any more goes."""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from otel_metrics.store.layout import StoreLayout

_MAGIC = b"PAR1"
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


def new_name(store: str, table: str, day: str) -> str:
    """The name of a segment to be made: table, day, the database that it belongs to, and random digits."""
    return f"{table}-{day}-{store}-{os.urandom(6).hex()}.parquet"


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


def retire_before(connection: sqlite3.Connection, cutoff: str, now_ns: int) -> dict[str, int]:
    """Retires the segments that hold nothing from `cutoff` (ISO-8601 UTC text) on; gives their rows by table."""
    old = [one for one in listed(connection) if one.last_time < cutoff]
    rows: dict[str, int] = {}
    for one in old:
        rows[one.table] = rows.get(one.table, 0) + one.rows
    if old:
        retire(connection, [one.name for one in old], now_ns)
    connection.execute("DELETE FROM archived_sessions WHERE day < ?", (cutoff[:10],))
    return rows


def retire(connection: sqlite3.Connection, names: Iterable[str], now_ns: int) -> None:
    """Takes segments out of the manifest; their files go later. Call inside a transaction."""
    keys = list(names)
    connection.executemany("DELETE FROM segments WHERE name = ?", [(name,) for name in keys])
    connection.executemany("INSERT OR REPLACE INTO retired_segments VALUES (?, ?)", [(name, now_ns) for name in keys])
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
    known = {one.name for one in listed(connection)}
    known.update(row[0] for row in connection.execute("SELECT name FROM retired_segments"))
    own = f"-{store_number(connection)}-"
    orphans = [path.name for path in files_of(layout) if path.name not in known and own in path.name]
    for name in (*due, *orphans):
        with suppress(FileNotFoundError):
            (layout.segments_folder / name).unlink()
    connection.executemany("DELETE FROM retired_segments WHERE name = ?", [(name,) for name in due])
    return [*due, *orphans]


def missing_or_broken(layout: StoreLayout, segments: Iterable[Segment]) -> list[str]:
    """What is wrong with the files of the manifest, in words: one that is gone, has another size or is no Parquet file."""
    faults = []
    for one in segments:
        path = layout.segments_folder / one.name
        try:
            with path.open("rb") as file:
                start, size = file.read(4), file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 4))
                sound = start == file.read(4) == _MAGIC and size == one.bytes
        except OSError as error:
            faults.append(f"{path} can not be read ({error.strerror})")
            continue
        if not sound:
            faults.append(f"{path} is damaged")
    return faults


def files_of(layout: StoreLayout) -> list[Path]:
    """Every file in the folder of the segments, drafts included."""
    try:
        names = sorted(os.listdir(layout.segments_folder))
    except FileNotFoundError:
        return []
    return [layout.segments_folder / name for name in names if ".parquet" in name]
