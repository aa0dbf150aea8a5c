"""Owns what the store asks of DuckDB, in one piece: it is handed to whoever forgets or repairs."""

import sqlite3
from collections.abc import Collection, Iterable

from otel_metrics.analytics import adoption, forgetting
from otel_metrics.store.cold_rows import Adopted, Rewritten
from otel_metrics.store.database import is_rebuilding
from otel_metrics.store.journal_files import read_header
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.scrub import Scrubber
from otel_metrics.store.segments import foreign
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.store.tombstones import Tombstones

_MOST_TRIES = 3


class ColdStore:
    """The cold rows of one store; see `store.cold_rows.ColdRows`."""

    def __init__(self, connection: sqlite3.Connection, layout: StoreLayout, /) -> None:
        self._connection = connection
        self._layout = layout

    def naming(self, scrubber: Scrubber) -> set[str]:
        """The sessions that name the person."""
        return forgetting.naming(self._connection, self._layout, scrubber)

    def owners(self, sessions: Collection[str]) -> Iterable[tuple[str, int, int]]:
        """Session, user and chat."""
        return forgetting.owners(self._connection, self._layout, sessions)

    def without(self, scrubber: Scrubber, sessions: Collection[str]) -> Rewritten:
        """Writes segments anew without the person."""
        return forgetting.without(self._connection, self._layout, scrubber, sessions)

    def adopt(self, tombstones: Tombstones | None) -> Adopted:
        """Takes over segments of another database."""
        return adoption.adopt(self._connection, self._layout, tombstones)

    def known(self, table: str, keys: Collection[str], since: str, until: str) -> set[str]:
        """Keys that are in segments already."""
        return adoption.known(self._connection, self._layout, table, keys, (since, until))

    def drop_known(self) -> int:
        """Deletes rows from the tables that are in segments too."""
        return adoption.drop_known(self._connection, self._layout)


def take_over(storage: MetricsStorage, wait_s: float) -> Adopted | None:
    """Adopts segments that another database left beside this one; None where there are none, or it must wait.

    It must wait until the journal is read to its end: what is read later would be there twice.
    """
    if not storage.layout.segments_folder.is_dir() or not storage.exists():
        return None
    for _ in range(_MOST_TRIES):
        with storage.alone(wait_s) as connection:
            if connection is None or not foreign(connection, storage.layout):
                return None
            if not is_rebuilding(connection) and not _waits(connection, storage.layout):
                return ColdStore(connection, storage.layout).adopt(storage.tombstones())
        storage.drain(wait_s)
    return None


def _waits(connection: sqlite3.Connection, layout: StoreLayout) -> bool:
    """Whether the journal holds lines that the tables do not have."""
    offsets = dict(connection.execute("SELECT journal_id, offset FROM journal_files").fetchall())
    found = [(path, read_header(path)) for path in layout.journal_files() if path.exists()]
    return any(header and path.stat().st_size > offsets.get(header.journal_id, 0) for path, header in found)
