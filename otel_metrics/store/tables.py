"""Owns the store as a whole for who uses it: draining, retention, reading, and what there is to tell of its state."""

import time
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING

from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout

if TYPE_CHECKING:
    import sqlite3

    from otel_metrics.store.drain import Drain, DrainReport
    from otel_metrics.store.retention import Pruned

_PRUNE_EVERY_S = 3600.0


class MetricsStorage:
    """The files of one store. Writing goes through the journal; this is for moving, reading and expiring."""

    def __init__(self, layout: StoreLayout, settings: Settings) -> None:
        self.layout = layout
        self._settings = settings
        self._next_prune = time.monotonic() + _PRUNE_EVERY_S

    @cached_property
    def _drain(self) -> "Drain":
        """SQLite is loaded with the first drain and not at a bot's start."""
        from otel_metrics.store.drain import Drain

        return Drain(self.layout, self._prune_logs)

    def drain(self, timeout_s: float = 0.0) -> "DrainReport":
        """Moves what the journal holds into the tables; one pass at a time among all processes."""
        report = self._drain.run(timeout_s)
        if time.monotonic() >= self._next_prune:
            self._next_prune = time.monotonic() + _PRUNE_EVERY_S
            self.prune()
        return report

    def prune(self, now_ns: int | None = None) -> "Pruned":
        """Deletes what is older than the retention time, and rotated logs beyond the number that is kept."""
        from otel_metrics.store.database import writing
        from otel_metrics.store.retention import prune

        now_ns = time.time_ns() if now_ns is None else now_ns
        with self._drain.leading(), writing(self.layout.database) as connection:
            return prune(
                connection, self.layout, now_ns=now_ns, retention_days=self._settings.retention_days,
                backups=self._settings.log_backups,
            )  # fmt: skip

    def _prune_logs(self, connection: "sqlite3.Connection") -> None:
        """Keeps the number of rotated logs, as soon as some are read to their ends."""
        from otel_metrics.store.retention import prune_logs

        prune_logs(connection, self.layout, backups=self._settings.log_backups)

    def reading(self) -> "AbstractContextManager[sqlite3.Connection]":
        """A connection that only reads, in one transaction."""
        from otel_metrics.store.database import reading

        return reading(self.layout.database)

    def exists(self) -> bool:
        """Whether the database file is there."""
        return self.layout.database.exists()
