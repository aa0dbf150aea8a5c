"""Owns which hot rows may leave the tables for segments, and their deletion once they are there."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

TIME_OF = {
    "processing_metrics": "end_time",
    "correction_metrics": "timestamp",
    "system_metrics": "timestamp",
    "spans": "end_time",
    "logs": "timestamp",
    "sessions": "ended_at",
}
"""The tables whose rows move, with the time by whose day they are kept."""
_UP_TO = "+seq <= :seq"
"""The sign keeps SQLite from going by the index: nearly every row is wanted, and in the table they lie side by side."""
_IN_A_SESSION = frozenset({"processing_metrics", "correction_metrics", "spans", "logs"})


@dataclass(frozen=True, slots=True)
class Movable:
    """Rows up to `seq` that belong to no open session, or are older than `idle_since` (ISO-8601 UTC text).

    Rows of an open session stay where they can be found fast: somebody may be waiting for it. Those of a session that
    has ended go together with its own row. Use it inside one transaction or while holding the drain lock: what it
    means must not change between reading and deleting.
    """

    seq: int
    idle_since: str

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Looks which sessions are open, and which have ended and do not move yet."""
        connection.execute("PRAGMA temp_store = MEMORY")
        for name, condition in (("open", "ended_at IS NULL"), ("later", "ended_at IS NOT NULL AND seq > :seq")):
            connection.execute(f"DROP TABLE IF EXISTS temp.{name}_sessions")
            connection.execute(f"CREATE TEMP TABLE {name}_sessions (session_id TEXT PRIMARY KEY) WITHOUT ROWID")
            connection.execute(
                f"INSERT INTO temp.{name}_sessions SELECT session_id FROM sessions WHERE {condition}", {"seq": self.seq}
            )

    def where(self, table: str) -> str:
        """The condition; its parameters are named `seq` and `idle_since`."""
        if table == "sessions":
            return f"{_UP_TO} AND ended_at IS NOT NULL"
        if table not in _IN_A_SESSION:
            return _UP_TO
        settled = f"{TIME_OF[table]} < :idle_since OR session_id NOT IN (SELECT session_id FROM temp.open_sessions)"
        later = "session_id IN (SELECT session_id FROM temp.later_sessions)"
        return f"{_UP_TO} AND {TIME_OF[table]} IS NOT NULL AND (session_id IS NULL OR (({settled}) AND NOT {later}))"

    @property
    def parameters(self) -> dict[str, int | str]:
        """The parameters of `where`."""
        return {"seq": self.seq, "idle_since": self.idle_since}

    def delete_all(self, connection: sqlite3.Connection, counts: Mapping[str, int]) -> None:
        """Deletes the rows that have moved, by table, with the numbers that there must be. Call inside a transaction."""
        for table, count in counts.items():
            self._delete(connection, table, count)

    def _delete(self, connection: sqlite3.Connection, table: str, count: int) -> None:
        """Deletes the `count` rows that have moved, and raises if there are not just so many.

        Where little stays, the table is emptied and what stays is put back: a DELETE without a condition frees whole
        pages instead of row after row.
        """
        where, parameters = self.where(table), self.parameters
        total = int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        if count < total // 2:
            gone = connection.execute(f"DELETE FROM {table} WHERE {where}", parameters).rowcount
        else:
            connection.execute(
                f"CREATE TEMP TABLE staying AS SELECT * FROM {table} WHERE ({where}) IS NOT TRUE", parameters
            )
            connection.execute(f"DELETE FROM {table}")
            stayed = connection.execute(f"INSERT INTO {table} SELECT * FROM temp.staying").rowcount
            connection.execute("DROP TABLE temp.staying")
            gone = total - max(0, stayed)
        if gone != count:
            raise RuntimeError(f"{table}: {count} rows were copied and {gone} would be deleted")


def hot_rows(connection: sqlite3.Connection) -> int:
    """How many rows are in the tables, of those that can move."""
    return sum(int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) for table in TIME_OF)


def step_end(connection: sqlite3.Connection, most: int, after: int = 0) -> int:
    """A number of the store's cursor up to which about `most` rows of the largest table lie behind `after`; the last one if fewer do."""
    last = int(connection.execute("SELECT value FROM counters WHERE name = 'seq'").fetchone()[0])
    ends = [
        connection.execute(
            f"SELECT seq FROM {table} WHERE seq > ? ORDER BY seq LIMIT 1 OFFSET ?", (after, most)
        ).fetchone()
        for table in TIME_OF
    ]
    return min((row[0] for row in ends if row is not None), default=last)
