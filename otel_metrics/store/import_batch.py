"""Owns the lines of one transaction that come from elsewhere: what of them is here already, whatever way it came, is left out."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from otel_metrics.store.batch import Batch
from otel_metrics.store.breath import NoBreath
from otel_metrics.store.rows import CORRECTIONS, ROOTS, SESSIONS_BEGUN, SPANS, STAGES, Row, Target

_BLOCK = 400
_EVER = ("0000", "9999")
_KEYED = ((STAGES, "end_time"), (SPANS, "end_time"), (ROOTS, "end_time"), (CORRECTIONS, "timestamp"))


class KnowsColdRows(Protocol):
    """Tells which keys stand in segments."""

    def __call__(self, table: str, keys: Collection[str], since: str, until: str, /) -> set[str]:
        """Those of rows of a period."""


class ImportedBatch(Batch):
    """Lines of other stores' writers: they are no part of this store's account. `known` counts rows by table that were here."""

    def __init__(self, lines: Sequence[bytes], cold: KnowsColdRows, *, is_hearsay: bool = False) -> None:
        """`is_hearsay`: what OTLP tells of a session counts where its host's own lines did not tell."""
        self._cold = cold
        self._is_hearsay = is_hearsay
        self.known = Counter[str]()
        super().__init__(lines, NoBreath())

    def insert(self, connection: sqlite3.Connection) -> None:
        """Puts in what is not there: neither in the tables nor in segments."""
        self.known.clear()
        for target, moment in _KEYED:
            self._leave_known(connection, target, moment)
        if self._is_hearsay:
            self._leave_told_sessions(connection)
        if running := [*self._running]:
            over = self._known(connection, STAGES, running, _EVER)
            self._running = {key: row for key, row in self._running.items() if key not in over}
        super().insert(connection)

    def _leave_told_sessions(self, connection: sqlite3.Connection) -> None:
        rows = self.rows.get(SESSIONS_BEGUN, [])
        told: set[str] = set()
        for start in range(0, len(rows), _BLOCK):
            block = [row[0] for row in rows[start : start + _BLOCK]]
            marks = ", ".join("?" * len(block))
            query = f"SELECT session_id FROM sessions WHERE metadata IS NOT NULL AND session_id IN ({marks})"
            told.update(row[0] for row in connection.execute(query, block))
        self.rows[SESSIONS_BEGUN] = [row for row in rows if row[0] not in told]

    def _leave_known(self, connection: sqlite3.Connection, target: Target, moment: str) -> None:
        rows = self.rows.get(target)
        if not rows:
            return
        place = target.columns.index(moment)
        times = [row[place] for row in rows]
        seen = self._known(connection, target, [row[0] for row in rows], (min(times), max(times)))
        fresh: list[Row] = []
        for row in rows:
            if row[0] in seen:
                self.known[target.table] += 1
            else:
                seen.add(row[0])
                fresh.append(row)
        self.rows[target] = fresh

    def _known(
        self, connection: sqlite3.Connection, target: Target, keys: Sequence[str], period: tuple[str, str]
    ) -> set[str]:
        key = target.columns[0]
        found: set[str] = set()
        for start in range(0, len(keys), _BLOCK):
            block = keys[start : start + _BLOCK]
            marks = ", ".join("?" * len(block))
            rows = connection.execute(f"SELECT {key} FROM {target.table} WHERE {key} IN ({marks})", block)
            found.update(row[0] for row in rows)
        return found | self._cold(target.table, keys, *period)

    def _accounts(self) -> Iterable[Row]:
        return ()
