"""Owns the mending of a damaged database: it is set aside, and one is made anew from the journal, within retention."""

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from otel_metrics.errors import StoreDamaged, StoreError
from otel_metrics.model.identity import IdHasher
from otel_metrics.model.times import iso
from otel_metrics.store import segments
from otel_metrics.store.aside import databases_set_aside, is_bereft, set_aside
from otel_metrics.store.cold_rows import Adopted, OpensColdRows
from otel_metrics.store.database import reading, roll_back, writing
from otel_metrics.store.forks import GATE
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.locks import FileLock
from otel_metrics.store.places import header_at
from otel_metrics.store.retention import Pruned, note_removal, prune_rows
from otel_metrics.store.retention_clock import believed_now_ns
from otel_metrics.store.salvage import Salvaged, salvage
from otel_metrics.store.segments import Segment
from otel_metrics.store.soundness import fault_in
from otel_metrics.store.tidying import make_private, remove_stale_drafts
from otel_metrics.store.tombstones import Tombstones

if TYPE_CHECKING:
    from otel_metrics.store.drain import DrainReport
    from otel_metrics.store.tables import MetricsStorage

_NS_PER_DAY = 86_400_000_000_000
_LOOK_AT_FORKS_EVERY = 50_000  # of SQLite's steps
_WAIT_S = 10.0
_FROM = "salvaged from "


def fault_of(database: Path) -> str:
    """What is wrong with a database, in words; empty if nothing is, or none is there.

    Raises `StoreNewer` or `StoreError` where that can not be told, also when somebody waits to fork.
    """
    if is_bereft(database):
        return f"{database} is empty beside its write-ahead log"
    if not database.exists():
        return ""
    try:
        with reading(database, any_version=True) as connection:
            connection.set_progress_handler(lambda: GATE.wanted, _LOOK_AT_FORKS_EVERY)
            return fault_in(connection)
    except StoreDamaged as error:
        return error.found


@dataclass(frozen=True, slots=True)
class Mended:
    """What was wrong, the new name of what was set aside, and the drain that followed; nothing may have been wrong."""

    damage: str
    set_aside: Path | None
    report: "DrainReport"


def mend(layout: StoreLayout, lock: FileLock, drain: "Callable[[], DrainReport]", timeout_s: float) -> Mended:
    """Sets a damaged database aside, and drains. There is damage that shows only when SQLite refuses to write."""
    damage, aside = set_damaged_aside(layout, lock, timeout_s)
    inode = _inode_of(layout.database)
    try:
        return Mended(damage, aside, drain())
    except StoreDamaged as error:
        if aside is not None or not isinstance(error.__cause__, sqlite3.DatabaseError):
            raise
    damage, aside = set_damaged_aside(layout, lock, timeout_s, refused_inode=inode)
    return Mended(damage, aside, drain())


def set_damaged_aside(
    layout: StoreLayout, lock: FileLock, timeout_s: float = 0.0, refused_inode: int = 0
) -> tuple[str, Path | None]:
    """Sets the database aside if it is damaged, or still the one that SQLite refused; gives why, and its new name.

    None where it is sound: another process may have made a new one while this one waited for the lock.
    """
    if not lock.acquire(timeout_s):
        return "", None
    try:
        damage = fault_of(layout.database)
        if not damage and refused_inode and refused_inode == _inode_of(layout.database):
            damage = "SQLite refuses to write to it"
        return damage, set_aside(layout.database) if damage else None
    finally:
        lock.release()


def _inode_of(path: Path) -> int:
    return path.stat().st_ino if path.exists() else 0


def finish_rebuilding(connection: sqlite3.Connection, retention_days: float) -> None:
    """When a new database has read the whole journal for the first time. Call only while holding the drain lock.

    What is too old goes, and lines that the journal no longer had are not missing: writers begin where it begins.
    """
    if connection.execute("SELECT 1 FROM counters WHERE name = 'rebuilding'").fetchone() is None:
        return
    if retention_days > 0:
        prune_rows(connection, _cutoff(connection, retention_days), Pruned())
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("UPDATE ledgers SET base = first - 1 WHERE first > 1")
        connection.execute("DELETE FROM counters WHERE name = 'rebuilding'")
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


@dataclass(slots=True)
class Repaired:
    """What was done at a desk: each list is empty where there was nothing to do."""

    damage: str = ""
    set_aside: Path | None = None
    read_back: dict[str, int] = field(default_factory=dict)
    """Records by the name of the log file that they were read from again."""
    since: str = ""
    """From when on the log files tell; what is older can only come from databases that were set aside."""
    salvaged: dict[str, Salvaged] = field(default_factory=dict)
    """By the name of the database that was set aside."""
    segments_set_aside: dict[str, int] = field(default_factory=dict)
    """What was wrong with segments, in words, and how many rows are gone with each."""
    adopted: Adopted = field(default_factory=Adopted)
    made_private: list[Path] = field(default_factory=list)
    drafts: list[Path] = field(default_factory=list)


def repair(
    storage: "MetricsStorage", retention_days: float, hasher: IdHasher | None, opens: OpensColdRows | None = None
) -> Repaired:
    """Sets what is damaged aside, reads the journal again, copies what else can be read, and tidies up.

    Nothing is deleted but drafts of dead processes, and by retention. Bots may go on writing meanwhile. `opens` makes
    what can read segments; without it those of a database that was set aside are left as they are.
    """
    layout, done = storage.layout, Repaired()
    lock = FileLock(layout.drain_lock)
    with lock:
        done.drafts = remove_stale_drafts(layout)
    mended = mend(layout, lock, lambda: storage.drain(_WAIT_S), _WAIT_S)
    done.damage, done.set_aside = mended.damage, mended.set_aside
    if mended.report.held:
        raise StoreError(
            f"another process has been moving the log into the tables for {_WAIT_S:g} s", "that it ends",
            "run `otel-metrics doctor --repair` again",
        )  # fmt: skip
    if done.set_aside is not None:
        done.read_back, done.since = _read_back(layout), _since(layout)
    with lock:
        done.salvaged = _salvage_all(layout, retention_days, hasher)
        _mend_segments(layout, hasher, opens, done)
        done.made_private = make_private(layout)
    return done


def _mend_segments(layout: StoreLayout, hasher: IdHasher | None, opens: OpensColdRows | None, done: Repaired) -> None:
    """Sets those aside that are not what was written, and takes over those of a database that was set aside."""
    with writing(layout.database) as connection:
        for one, fault in _broken(connection, layout):
            _set_segment_aside(connection, layout, one)
            done.segments_set_aside[fault] = one.rows
        segments.sweep(connection, layout, time.time_ns())
        if opens is None or not segments.files_of(layout):
            return
        cold = opens(connection, layout)
        if any(one.rows for one in done.salvaged.values()):
            cold.drop_known()
        done.adopted = cold.adopt(Tombstones.load(layout, hasher) if hasher else None)


def _broken(connection: sqlite3.Connection, layout: StoreLayout) -> list[tuple[Segment, str]]:
    listed = segments.listed(connection)
    faults = segments.missing_or_broken(layout, listed)
    return [(one, faults[one.name]) for one in listed if one.name in faults]


def _set_segment_aside(connection: sqlite3.Connection, layout: StoreLayout, one: Segment) -> None:
    """The file first: killed in between, it is missing from the manifest's files, and the next repair says so."""
    if (layout.segments_folder / one.name).exists():
        segments.set_aside(layout, one.name)
    connection.execute("BEGIN IMMEDIATE")
    try:
        segments.strike(connection, one.name)
        note_removal(connection, "damaged", f"rows of {one.table}", one.rows)
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def _read_back(layout: StoreLayout) -> dict[str, int]:
    with reading(layout.database) as connection:
        lines: dict[str, int] = dict(connection.execute("SELECT journal_id, lines FROM journal_files").fetchall())
    headers = {path.name: header for path in layout.journal_files() if (header := header_at(path))}
    return {name: lines.get(header.journal_id, 0) for name, header in headers.items()}


def _since(layout: StoreLayout) -> str:
    """When the oldest log file began; empty where none can tell."""
    times = (header.timestamp for path in layout.journal_files() if (header := header_at(path)))
    return min(filter(None, times), default="")


def _salvage_all(layout: StoreLayout, retention_days: float, hasher: IdHasher | None) -> dict[str, Salvaged]:
    """From all that were set aside and not looked at yet, the newest first: it knows best."""
    salvaged: dict[str, Salvaged] = {}
    found = databases_set_aside(layout.database)
    if not found:
        return salvaged
    tombstones = Tombstones.load(layout, hasher) if hasher else None
    since = _since(layout)
    with writing(layout.database) as connection:
        known = salvaged_from(connection)
        for path in reversed(found):
            if path.name not in known:
                salvaged[path.name] = _salvage_one(path, connection, since, tombstones)
        if retention_days > 0 and salvaged:
            prune_rows(connection, _cutoff(connection, retention_days), Pruned())
    return salvaged


def _salvage_one(path: Path, connection: sqlite3.Connection, until: str, tombstones: Tombstones | None) -> Salvaged:
    connection.execute("BEGIN IMMEDIATE")
    try:
        salvaged = salvage(path, connection, until, tombstones)
        connection.execute("INSERT INTO counters VALUES (?, ?)", (f"{_FROM}{path.name}", sum(salvaged.rows.values())))
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise
    return salvaged


def salvaged_from(connection: sqlite3.Connection) -> dict[str, int]:
    """Which databases that were set aside have been looked at, and how many rows were copied from each."""
    found = connection.execute("SELECT name, value FROM counters WHERE name LIKE ?", (f"{_FROM}%",))
    return {name.removeprefix(_FROM): value for name, value in found}


def _cutoff(connection: sqlite3.Connection, retention_days: float) -> str:
    return iso(believed_now_ns(connection) - round(retention_days * _NS_PER_DAY))
