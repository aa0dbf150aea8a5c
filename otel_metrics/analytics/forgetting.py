"""Owns the taking of a person out of cold rows: each segment that holds them is written anew without them."""

import json
import sqlite3
from collections.abc import Collection, Iterator
from typing import Any

import duckdb

from otel_metrics.analytics.cold import MOVING, packed, unpacked
from otel_metrics.analytics.columns import FLAG, TEXT, TIME, Table
from otel_metrics.analytics.hot import insert_lines
from otel_metrics.analytics.segment_files import SegmentWriter, writer_of
from otel_metrics.store.belongings import SHARED_SESSION
from otel_metrics.store.cold_rows import Rewritten
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.scrub import ID_FIELDS, ROW, Scrubber, is_structure
from otel_metrics.store.segments import Segment, listed

_PEOPLE = ("sessions", "processing_metrics")
_READ = {TIME: "strftime({0}, '%Y-%m-%dT%H:%M:%S.%fZ')", FLAG: "CAST({0} AS INTEGER)"}
_BLOCK = 10_000


def naming(connection: sqlite3.Connection, layout: StoreLayout, scrubber: Scrubber) -> set[str]:
    """The sessions of which a cold row names the person as its user or chat, or in the session's own id."""
    found: set[str] = set()
    with writer_of(connection, layout) as writer:
        for segment, table in _segments_of(connection):
            if "session_id" not in table.columns:
                continue
            rows = unpacked(table, [layout.segments_folder / segment.name])
            if table.name in _PEOPLE:
                query = f"SELECT DISTINCT session_id FROM ({rows}) WHERE $number IN (user_id, chat_id)"
                found.update(row[0] for row in writer.worker.execute(query, {"number": scrubber.number}).fetchall())
            where, values = _holding(scrubber, ["session_id"])
            query = f"SELECT DISTINCT session_id FROM ({rows}) WHERE {where}"
            named = (row[0] for row in writer.worker.execute(query, values).fetchall())
            found.update(one for one in named if scrubber.is_in(one))
    return found


def owners(
    connection: sqlite3.Connection, layout: StoreLayout, sessions: Collection[str]
) -> Iterator[tuple[str, int, int]]:
    """Session, user and chat, of those whose own row is cold."""
    files = [layout.segments_folder / one.name for one, table in _segments_of(connection) if table.name == "sessions"]
    if not files or not sessions:
        return
    table = next(one for one in MOVING if one.name == "sessions")
    with writer_of(connection, layout) as writer:
        yield from writer.worker.execute(
            f"SELECT session_id, user_id, chat_id FROM ({unpacked(table, files)}) "
            "WHERE session_id IN (SELECT unnest($sessions))",
            {"sessions": list(sessions)},
        ).fetchall()


def without(
    connection: sqlite3.Connection, layout: StoreLayout, scrubber: Scrubber, sessions: Collection[str]
) -> Rewritten:
    """Writes every segment anew that holds the person, without these sessions, and without the person's ids elsewhere.

    The new files are on the disk and not in the manifest yet; a segment of which nothing stays has none.
    """
    done = Rewritten()
    with writer_of(connection, layout) as writer:
        writer.worker.execute("CREATE TABLE own_sessions (session_id VARCHAR)")
        if sessions:
            writer.worker.execute("INSERT INTO own_sessions SELECT unnest($sessions)", {"sessions": list(sessions)})
        for segment, table in _segments_of(connection):
            _rewrite(writer, segment, table, scrubber, done)
        writer.done()
    return done


def _segments_of(connection: sqlite3.Connection) -> Iterator[tuple[Segment, Table]]:
    tables = {table.name: table for table in MOVING}
    for one in listed(connection):
        yield one, tables[one.table]


def _rewrite(writer: SegmentWriter, segment: Segment, table: Table, scrubber: Scrubber, done: Rewritten) -> None:
    worker = writer.worker
    rows = unpacked(table, [writer.layout.segments_folder / segment.name])
    where, values = _about(table, scrubber)
    if not worker.execute(f"SELECT EXISTS (FROM ({rows}) WHERE {where})", values).fetchall()[0][0]:
        return
    worker.execute(f"CREATE OR REPLACE TEMP TABLE part AS {rows}")
    deleted = _delete(worker, table, scrubber)
    scrubbed = _scrub(worker, table, scrubber)
    if not deleted and not scrubbed:
        return
    for counts, count in ((done.deleted, deleted), (done.scrubbed, scrubbed)):
        if count:
            counts[table.name] = counts.get(table.name, 0) + count
    done.replaced.append(segment.name)
    if segment.rows > deleted:
        done.made.append(writer.write(table, segment.day, packed(table, "part")))


def _about(table: Table, scrubber: Scrubber) -> tuple[str, dict[str, Any]]:
    """The condition for rows that may have to do with the person."""
    where, values = _holding(scrubber, _texts(table))
    numbers = [f"{name} = $number" for name in table.columns if name in ID_FIELDS]
    own = ["session_id IN (SELECT session_id FROM own_sessions)"] if "session_id" in table.columns else []
    if numbers:
        values["number"] = scrubber.number
    return " OR ".join([*own, *numbers, where]), values


def _holding(scrubber: Scrubber, names: list[str]) -> tuple[str, dict[str, Any]]:
    """The condition for rows that have one of the person's ids in one of these texts, in any form."""
    values: dict[str, Any] = {f"needle_{place}": needle for place, needle in enumerate(scrubber.needles)}
    return " OR ".join(f"contains({name}, ${key})" for name in names for key in values), values


def _texts(table: Table) -> list[str]:
    return [name for name, kind in table.columns.items() if kind == TEXT and not is_structure(name)]


def _delete(worker: duckdb.DuckDBPyConnection, table: Table, scrubber: Scrubber) -> int:
    """Own sessions go whole; of the session that is everybody's, the person's stages."""
    if "session_id" not in table.columns:
        return 0
    gone = worker.execute("DELETE FROM part WHERE session_id IN (SELECT session_id FROM own_sessions)").fetchall()[0][0]
    if "stage" in table.columns:
        gone += worker.execute(
            "DELETE FROM part WHERE session_id = $shared AND $number IN (user_id, chat_id)",
            {"shared": SHARED_SESSION, "number": scrubber.number},
        ).fetchall()[0][0]
    return int(gone)


def _scrub(worker: duckdb.DuckDBPyConnection, table: Table, scrubber: Scrubber) -> int:
    """Takes the ids out of the other rows; what is drawn out of their metadata is drawn anew."""
    where, values = _about(table, scrubber)
    columns = ", ".join(_READ.get(kind, "{0}").format(name) for name, kind in table.columns.items())
    found = worker.execute(f"SELECT rowid, {columns} FROM part WHERE {where}", values).fetchall()
    gone: list[int] = []
    lines: list[str] = []
    for number, *row in found:
        before = dict(zip(table.columns, row, strict=True))
        after = scrubber.record(before, ROW)
        if after != before:
            gone.append(number)
            lines.append(json.dumps([after[name] for name in table.columns], ensure_ascii=False))
    for start in range(0, len(gone), _BLOCK):
        worker.execute("DELETE FROM part WHERE rowid IN (SELECT unnest($rows))", {"rows": gone[start : start + _BLOCK]})
    for start in range(0, len(lines), _BLOCK):
        insert_lines(worker, table, "part", lines[start : start + _BLOCK])
    return len(gone)
