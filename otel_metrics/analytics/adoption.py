"""Owns the taking over of segments that another database left beside this one: afterwards each of their rows is there once."""

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path

import duckdb

from otel_metrics.analytics.cold import MOVING, packed, unpacked
from otel_metrics.analytics.columns import TEXT, Table
from otel_metrics.analytics.hot import load
from otel_metrics.analytics.segment_files import writer_of
from otel_metrics.store import segments
from otel_metrics.store.archive import archive
from otel_metrics.store.belongings import SHARED_SESSION
from otel_metrics.store.cold_rows import Adopted
from otel_metrics.store.database import note_deletions, roll_back
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.moving import TIME_OF
from otel_metrics.store.segments import Segment
from otel_metrics.store.tombstones import Tombstones

_KEYS = {
    "sessions": "session_id", "processing_metrics": "metric_id", "correction_metrics": "correction_id", "spans": "record_id",
}  # fmt: skip
_PEOPLE = ("user_id", "chat_id", "admin_user_id")
Days = dict[tuple[str, str], list[Path]]


def adopt(connection: sqlite3.Connection, layout: StoreLayout, tombstones: Tombstones | None) -> Adopted:
    """Takes over what whole segments of another database hold. Call only while holding the drain lock.

    Such files are there when a database was set aside, when a copy took its place, and when somebody died in here. A
    row that is in a table too goes from the table; one that is in a segment of ours counts there. People who were
    forgotten are left out. A file that is not what was written is set aside.
    """
    done = Adopted()
    days: Days = {}
    for path in segments.foreign(connection, layout):
        place = segments.day_of(path)
        if place is None or place[0] not in TIME_OF or not segments.is_sound(path):
            done.damaged.append(segments.set_aside(layout, path.name).name)
        else:
            days.setdefault(place, []).append(path)
    if days:
        _Adoption(connection, layout, tombstones, done).run(days)
    return done


def drop_known(connection: sqlite3.Connection, layout: StoreLayout) -> int:
    """Deletes from the tables what is in our own segments too: rows of a damaged database may have moved before. Gives how many."""
    adoption = _Adoption(connection, layout, None, Adopted())
    return adoption.drop_known()


def known(
    connection: sqlite3.Connection, layout: StoreLayout, table: str, keys: Collection[str], period: tuple[str, str]
) -> set[str]:
    """Which of these keys are in our own segments, in rows of a period."""
    since, until = period
    files = [
        layout.segments_folder / one.name
        for one in segments.listed(connection)
        if one.table == table and one.first_time <= until and one.last_time >= since
    ]
    if not files or not keys:
        return set()
    key, moment = _KEYS[table], TIME_OF[table]
    with writer_of(connection, layout) as writer:
        rows = unpacked(next(one for one in MOVING if one.name == table), files)
        found = writer.worker.execute(
            f"SELECT {key} FROM ({rows}) WHERE {moment} BETWEEN CAST($since AS TIMESTAMP) AND CAST($until AS TIMESTAMP) "
            f"AND {key} IN (SELECT unnest($keys))",
            {"since": since, "until": until, "keys": list(keys)},
        ).fetchall()
    return {row[0] for row in found}


class _Adoption:
    """One run; day by day, each in a transaction of its own."""

    def __init__(
        self, connection: sqlite3.Connection, layout: StoreLayout, tombstones: Tombstones | None, done: Adopted
    ) -> None:
        self._connection = connection
        self._layout = layout
        self._tombstones = tombstones
        self._done = done
        self._forgotten: set[str] = set()

    def run(self, days: Days) -> None:
        own = [path for (name, _), paths in days.items() if name == "sessions" for path in paths]
        if own and self._tombstones:
            self._forgotten = self._forgotten_sessions(own)
        for table in MOVING:
            for (name, day), paths in sorted(days.items()):
                if name == table.name:
                    self._adopt_day(table, day, paths)

    def drop_known(self) -> int:
        """See above."""
        gone = 0
        for table in MOVING:
            files = self._files(table)
            if files:
                with writer_of(self._connection, self._layout) as writer:
                    self._meet_tables(writer.worker, table)
                    writer.worker.execute(f"CREATE TEMP TABLE part AS {unpacked(table, files)}")
                    keys = self._double(writer.worker, table)
                self._connection.execute("BEGIN IMMEDIATE")
                gone += self._finish(table, keys, [], [])
        return gone

    def _adopt_day(self, table: Table, day: str, paths: list[Path]) -> None:
        made: list[Segment] = []
        with writer_of(self._connection, self._layout) as writer:
            worker = writer.worker
            self._meet_tables(worker, table)
            worker.execute(f"CREATE TEMP TABLE part AS SELECT DISTINCT * FROM ({unpacked(table, paths)})")
            self._leave_out_the_forgotten(worker, table)
            self._leave_out_known(worker, table, day)
            keys = self._double(worker, table)
            if worker.execute("SELECT count(*) FROM part").fetchall()[0][0]:
                made.append(writer.write(table, day, packed(table, "part")))
            ended = _ended(worker) if table.name == "sessions" else []
            writer.done()
        self._connection.execute("BEGIN IMMEDIATE")
        self._finish(table, keys, made, ended)
        for path in paths:  # whoever dies before finds nothing new in them the next time
            path.unlink()
        if made:
            self._done.rows[table.name] = self._done.rows.get(table.name, 0) + made[0].rows

    def _finish(
        self, table: Table, keys: list[object], made: list[Segment], ended: list[tuple[str, str, bytes | None]]
    ) -> int:
        """Ends the transaction that has begun: rows go from the table, files come into the manifest."""
        connection = self._connection
        try:
            key = _KEYS.get(table.name, "id")
            before = connection.total_changes
            connection.executemany(f"DELETE FROM {table.name} WHERE {key} = ?", [(one,) for one in keys])
            gone = connection.total_changes - before
            archive(connection, ended)
            if made:
                segments.enter(connection, made)
            note_deletions(connection)
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise
        return gone

    def _meet_tables(self, worker: duckdb.DuckDBPyConnection, table: Table) -> None:
        """What of the table is in SQLite: keys alone where rows have such."""
        columns = {_KEYS[table.name]: TEXT} if table.name in _KEYS else table.columns
        load(worker, self._connection, Table(table.name, columns, table.time))

    def _leave_out_known(self, worker: duckdb.DuckDBPyConnection, table: Table, day: str) -> None:
        """What is in segments of ours: a day's rows are in that day's, but a session may have ended twice."""
        files = self._files(table, None if table.name == "sessions" else day)
        if table.name in _KEYS:  # a session that stands in two files counts once
            key = _KEYS[table.name]
            worker.execute(f"DELETE FROM part WHERE rowid NOT IN (SELECT min(rowid) FROM part GROUP BY {key})")
        if not files:
            return
        worker.execute(f"CREATE TEMP TABLE known AS {unpacked(table, files)}")
        worker.execute(
            f"DELETE FROM part WHERE rowid IN (SELECT handle FROM ({_keyed(table, 'part', 'rowid')}) "
            f"WHERE key IN (SELECT key FROM ({_keyed(table, 'known', 'rowid')})))"
        )

    def _double(self, worker: duckdb.DuckDBPyConnection, table: Table) -> list[object]:
        """Keys of rows in the table that are in `part` too."""
        handle = _KEYS.get(table.name, "id")
        found = worker.execute(
            f"SELECT handle FROM ({_keyed(table, f'hot.{table.name}', handle)}) "
            f"WHERE key IN (SELECT key FROM ({_keyed(table, 'part', 'rowid')}))"
        ).fetchall()
        return [row[0] for row in found]

    def _leave_out_the_forgotten(self, worker: duckdb.DuckDBPyConnection, table: Table) -> None:
        if not self._tombstones:
            return
        for person, until, where in _forgotten_in(worker, "part", table, self._tombstones):
            worker.execute(f"DELETE FROM part WHERE {where}", {"person": person, "until": until})
        if "session_id" in table.columns and self._forgotten:
            worker.execute(
                "DELETE FROM part WHERE session_id IN (SELECT unnest($gone))", {"gone": sorted(self._forgotten)}
            )

    def _forgotten_sessions(self, paths: list[Path]) -> set[str]:
        """Sessions of people who were forgotten after them, over all days."""
        table = next(one for one in MOVING if one.name == "sessions")
        found: set[str] = set()
        assert self._tombstones is not None
        with writer_of(self._connection, self._layout) as writer:
            writer.worker.execute(f"CREATE TEMP TABLE part AS {unpacked(table, paths)}")
            for person, until, where in _forgotten_in(writer.worker, "part", table, self._tombstones):
                rows = writer.worker.execute(
                    f"SELECT session_id FROM part WHERE {where}", {"person": person, "until": until}
                ).fetchall()
                found.update(row[0] for row in rows)
        return found - {SHARED_SESSION}

    def _files(self, table: Table, day: str | None = None) -> list[Path]:
        """Those of the manifest."""
        listed = segments.listed(self._connection)
        return [
            self._layout.segments_folder / one.name
            for one in listed
            if one.table == table.name and day in {None, one.day}
        ]


def _keyed(table: Table, source: str, handle: str) -> str:
    """The SELECT of `key`, which tells a row from all others, and `handle`. Where rows have no key it is all that they hold, and the how-manieth of its like it is."""
    if table.name in _KEYS:
        return f"SELECT {_KEYS[table.name]} AS key, {handle} AS handle FROM {source}"
    content = ", ".join(f"{name} := {name}" for name in table.columns if name != "id")
    text = f"CAST(to_json(struct_pack({content})) AS VARCHAR)"
    place = f"row_number() OVER (PARTITION BY {text} ORDER BY id)"
    return f"SELECT {text} || '#' || {place} AS key, {handle} AS handle FROM {source}"


def _forgotten_in(
    worker: duckdb.DuckDBPyConnection, source: str, table: Table, tombstones: Tombstones
) -> Iterator[tuple[int, str, str]]:
    """Person, until when, and the condition for their rows."""
    for name in (one for one in _PEOPLE if one in table.columns):
        people = worker.execute(f"SELECT DISTINCT {name} FROM {source} WHERE {name} <> 0").fetchall()
        for (person,) in people:
            if until := tombstones.until_of(person):
                moment = table.time if table.name == "sessions" else TIME_OF[table.name]
                yield person, until, f"{name} = $person AND {moment} <= CAST($until AS TIMESTAMP)"


def _ended(worker: duckdb.DuckDBPyConnection) -> list[tuple[str, str, bytes | None]]:
    """The sessions as the archive has them; which end counted is not known any more, so that any may be sent."""
    found = worker.execute("SELECT session_id, CAST(CAST(ended_at AS DATE) AS VARCHAR) FROM part").fetchall()
    return [(session, day, None) for session, day in found]
