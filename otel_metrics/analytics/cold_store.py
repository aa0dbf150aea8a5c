"""Owns what the store asks of DuckDB, in one piece: it is handed to whoever forgets or repairs."""

import sqlite3
from collections.abc import Collection, Iterable

from otel_metrics.analytics import adoption, forgetting
from otel_metrics.store.cold_rows import Adopted, Rewritten
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.scrub import Scrubber
from otel_metrics.store.tombstones import Tombstones


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
