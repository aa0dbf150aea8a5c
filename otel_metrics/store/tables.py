"""Owns the store as a whole for who uses it: draining, retention, reading, and what there is to tell of its state."""

import time
import warnings
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from otel_metrics.errors import StoreDamaged
from otel_metrics.settings import Settings
from otel_metrics.store.forks import GATE
from otel_metrics.store.layout import StoreLayout

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from otel_metrics.model.identity import IdHasher
    from otel_metrics.store.accounts import Account
    from otel_metrics.store.backup import BackupReport
    from otel_metrics.store.cap import Removed
    from otel_metrics.store.cold_rows import OpensColdRows
    from otel_metrics.store.drain import Drain, DrainReport
    from otel_metrics.store.forget import ForgetReport
    from otel_metrics.store.repair import Repaired
    from otel_metrics.store.retention import Pruned
    from otel_metrics.store.tombstones import Tombstones

_PRUNE_EVERY_S = 3600.0
_LOOK_AT_SIZE_EVERY_S = 5.0
_BACKUP_WAIT_S = 10.0


class MetricsStorage:
    """The files of one store. Writing goes through the journal; this is for moving, reading and expiring.

    `in_bot` says that other threads of the process serve people meanwhile: then work is done in small slices.
    """

    def __init__(self, layout: StoreLayout, settings: Settings, *, in_bot: bool = False) -> None:
        self._in_bot = in_bot
        self.layout = layout
        self._settings = settings
        self._next_prune = time.monotonic() + _PRUNE_EVERY_S
        self._next_look_at_size = 0.0
        self._made_drain: Drain | None = None

    @property
    def _drain(self) -> "Drain":
        """SQLite is loaded with the first drain and not at a bot's start, and what the background needs later with it."""
        if self._made_drain is None:
            with GATE.loading():
                for name in ("cap", "repair", "retention_clock"):
                    import_module(f"otel_metrics.store.{name}")
                from otel_metrics.store.drain import Drain
            self._made_drain = Drain(
                self.layout, self._prune_logs, on_read=self._finish_rebuilding, hasher=self._hasher, polite=self._in_bot
            )
        return self._made_drain

    def drain(self, timeout_s: float = 0.0) -> "DrainReport":
        """Moves what the journal holds into the tables; one pass at a time among all processes.

        In a bot a database that is damaged is set aside, kept, and made anew from the journal.
        """
        try:
            return self._drain_and_expire(timeout_s)
        except StoreDamaged as damage:
            if not self._in_bot:
                raise
            return self._mend(damage, timeout_s)

    def _drain_and_expire(self, timeout_s: float) -> "DrainReport":
        report = self._drain.run(timeout_s)
        now = time.monotonic()
        if now >= self._next_prune:
            self._next_prune = now + _PRUNE_EVERY_S
            self._prune_by_itself()
        if now >= self._next_look_at_size:
            self._next_look_at_size = now + _LOOK_AT_SIZE_EVERY_S
            self.make_room()
        return report

    def _mend(self, damage: StoreDamaged, timeout_s: float) -> "DrainReport":
        from otel_metrics.store.repair import mend

        try:
            mended = mend(self.layout, self._drain.leading(), lambda: self._drain.run(timeout_s), timeout_s)
        except OSError:
            raise damage from None  # nothing can be renamed here; the journal keeps everything
        if mended.set_aside is not None:
            warnings.warn(
                f"otel_metrics: {self.layout.database} was damaged; it is kept as {mended.set_aside.name}, and "
                f"{mended.report.stored} records were read again from the log; `otel-metrics doctor --repair` saves what "
                "else can be read",
                RuntimeWarning,
                stacklevel=2,
            )
        return mended.report

    def _finish_rebuilding(self, connection: "sqlite3.Connection") -> None:
        from otel_metrics.store.repair import finish_rebuilding

        finish_rebuilding(connection, self._settings.retention_days)

    def _hasher(self) -> "IdHasher | None":
        """Of the key that there is: where none is, there are no hashes to compare with."""
        from otel_metrics.model.identity import IdHasher
        from otel_metrics.store.key import load_key

        if self._settings.id_key is None and not self.layout.key_file.exists():
            return None
        return IdHasher(load_key(self.layout, self._settings.id_key))

    def _prune_by_itself(self) -> None:
        """The background's deletion does not believe a clock that has jumped."""
        from otel_metrics.store.database import writing
        from otel_metrics.store.retention_clock import believed_now_ns

        with self._drain.leading(), writing(self.layout.database) as connection:
            now_ns = believed_now_ns(connection)
        self.prune(now_ns)

    def make_room(self) -> "Removed":
        """Deletes what goes first where the store is above its size limit; nothing where it is not, or has none."""
        from otel_metrics.store.cap import Removed, make_room, store_bytes
        from otel_metrics.store.database import writing

        limit = self._settings.max_bytes
        if not limit or store_bytes(self.layout) <= limit:
            return Removed()
        with self._drain.leading(), writing(self.layout.database) as connection:
            return make_room(connection, self.layout, limit)

    def drop_unread_logs(self) -> "Removed":
        """Keeps the journal within the size limit where the tables can not take it: what goes then is lost."""
        from otel_metrics.store.cap import Removed, drop_unread_logs

        limit = self._settings.max_bytes
        return drop_unread_logs(self.layout, limit) if limit else Removed()

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

    def backup(self, path: "Path") -> "BackupReport":
        """Copies the tables of this moment to `path`, and the key of the id hashes beside it; see `back_up`."""
        from otel_metrics.store.backup import back_up

        self.drain(_BACKUP_WAIT_S)
        return back_up(self.layout, path)

    def repair(self, opens: "OpensColdRows | None" = None) -> "Repaired":
        """Mends what is damaged, as far as that can be done; see `repair`."""
        from otel_metrics.store.repair import repair

        hasher = self._hasher() if self.layout.tombstones_file.exists() else None
        return repair(self, self._settings.retention_days, hasher, opens)

    def tombstones(self) -> "Tombstones | None":
        """Who was forgotten; None for nobody, or where there is no key to tell by."""
        from otel_metrics.store.tombstones import Tombstones

        hasher = self._hasher() if self.layout.tombstones_file.exists() else None
        return Tombstones.load(self.layout, hasher) if hasher else None

    def forget(self, user: object, opens: "OpensColdRows | None" = None) -> "ForgetReport":
        """Takes a user or moderator out of everything that the store holds so far; see `forget`."""
        from otel_metrics.model.identity import IdHasher
        from otel_metrics.store.forget import forget
        from otel_metrics.store.key import load_key

        hasher = IdHasher(load_key(self.layout, self._settings.id_key))
        return forget(self.layout, hasher, user, opens=opens)

    def stored_lines_of(self, process: str) -> int:
        """How many lines of a writer are in the tables; 0 where there are no tables yet."""
        if not self.exists():
            return 0
        with self.reading() as connection:
            row = connection.execute("SELECT stored FROM ledgers WHERE process = ?", (process,)).fetchone()
        return int(row[0]) if row else 0

    def account(self) -> "Account":
        """Where every record is that was ever emitted into this store; reads what of the journal is not in the tables."""
        from otel_metrics.store.accounts import account_of

        for _ in range(3):
            with self.reading() as connection:
                account = account_of(connection, self.layout)
            if not account.missing:  # a log that is read to its end and deleted meanwhile shows in the next look
                break
            time.sleep(0.05)
        return account

    @contextmanager
    def alone(self, timeout_s: float) -> "Iterator[sqlite3.Connection | None]":
        """A connection for writing while no other process writes; None where one went on doing so for `timeout_s`."""
        from otel_metrics.store.database import writing

        lock = self._drain.leading()
        if not lock.acquire(timeout_s):
            yield None
            return
        try:
            with writing(self.layout.database) as connection:
                yield connection
        finally:
            lock.release()

    def reading(self) -> "AbstractContextManager[sqlite3.Connection]":
        """A connection that only reads, in one transaction."""
        from otel_metrics.store.database import reading

        return reading(self.layout.database)

    def exists(self) -> bool:
        """Whether the database file is there, with anything in it."""
        try:
            return self.layout.database.stat().st_size > 0
        except FileNotFoundError:
            return False
