"""Owns what a service does by itself while a bot lives: draining, syncing, sending on, limits, and the end of it all."""

import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from otel_metrics.background import Background
from otel_metrics.errors import StoreError
from otel_metrics.model.losses import LIMIT_REASON, Losses
from otel_metrics.model.times import iso
from otel_metrics.recording.guard import Guard
from otel_metrics.recording.instruments import RecordFigures
from otel_metrics.settings import Settings
from otel_metrics.store.forks import GATE
from otel_metrics.store.journal import Journal
from otel_metrics.store.ledger import JournalLedger
from otel_metrics.store.tables import MetricsStorage

if TYPE_CHECKING:
    from otel_metrics.telemetry.forward import Forwarder

_SYNC_EVERY_S = 0.1
_LOOK_EVERY_S = 1.0
_LAST_SEND_S = 1.5
_EXIT_WAIT_S = 1.0
_NEEDED = (
    "rapidfuzz.distance", "otel_metrics.store.drain", "otel_metrics.store.repair", "otel_metrics.store.retention_clock",
    "otel_metrics.store.cap",
)  # fmt: skip


class Upkeep:
    """The background of one service. `forwarder` is there where OTLP is asked for and the provider is ours."""

    def __init__(
        self, journal: Journal, ledger: JournalLedger, storage: MetricsStorage, losses: Losses, guard: Guard,
        settings: Settings, forwarder: "Forwarder | None",
    ) -> None:  # fmt: skip
        self._journal = journal
        self._ledger = ledger
        self._storage = storage
        self._losses = losses
        self._guard = guard
        self._settings = settings
        self._forwarder = forwarder
        self._ended = False
        self._background: list[Background] = []

    def start(self) -> None:
        """Begins to work in the background."""
        drain_s = self._settings.drain_interval_s
        self._background = [Background(self.tick, drain_s or _LOOK_EVERY_S, "drain", _warm_up if drain_s else bool)]
        if self._settings.durability == "interval":
            self._background.append(Background(self.sync, _SYNC_EVERY_S, "sync"))
        for background in self._background:
            background.start()
        if self._forwarder is not None:
            self._forwarder.start()

    def start_in_child(self) -> None:
        """In a forked child, where none of the parent's threads exist."""
        self._losses.forget()
        if self._forwarder is not None:
            self._forwarder = self._forwarder.in_child()
        self.start()

    def tick(self) -> None:
        """What is to be done again and again; also for who runs without a background."""
        try:
            self._journal.look()
            if self._settings.drain_interval_s:
                self._storage.drain()
        except Exception as error:  # the next tick tries again
            self._guard.caught("drain", error, dropped=False)
            if isinstance(error, StoreError):
                self._keep_journal_within_its_limit()

    def _keep_journal_within_its_limit(self) -> None:
        """While the tables take nothing the journal grows; at the size limit its oldest files go, counted and told."""
        try:
            removed = self._storage.drop_unread_logs()
        except OSError:  # the next tick tries again
            return
        if removed.log_files:
            self._losses.drop(LIMIT_REASON, removed.lost_records)
            self._ledger.append(
                {
                    "kind": "log", "timestamp": iso(time.time_ns()), "level": "error", "event_type": "log_files_dropped",
                    "message": "The size limit was reached while the tables took nothing", "log_files": removed.log_files,
                }
            )  # fmt: skip

    def sync(self) -> None:
        """Brings the journal to the disk where the durability level asks for it."""
        try:
            self._journal.sync()
        except OSError as error:
            self._losses.note("sync_failed")
            warnings.warn(
                f"otel_metrics: the log could not be brought to the disk ({error})", RuntimeWarning, stacklevel=2
            )

    def drain(self, timeout_s: float, where: str = "flush") -> None:
        """Moves what is recorded into the tables. What can not be moved stays in the journal."""
        try:
            self._storage.drain(timeout_s)
        except Exception as error:
            self._guard.caught(where, error, dropped=False)

    def send(self, timeout_s: float) -> None:
        """Sends what the tables have by OTLP, where that is asked for."""
        if self._forwarder is not None:
            self._forwarder.flush(timeout_s)

    def end(self, close_telemetry: Callable[[], None]) -> None:
        """The tables first; then the last spans and metrics go out beside each other: a silent collector costs its time once."""
        self._ended = True
        for background in self._background:
            background.stop(_EXIT_WAIT_S)
        try:
            self.drain(_EXIT_WAIT_S, "shutdown")
        finally:
            deadline = time.monotonic() + _LAST_SEND_S
            if self._forwarder is not None:
                self._forwarder.hurry()
            close_telemetry()
            if self._forwarder is not None:
                self._forwarder.close(deadline - time.monotonic())
            self._journal.close()

    def figures(self) -> RecordFigures | None:
        """What this process recorded and where it is now; None after the end, or where the tables can not be read."""
        if self._ended:
            return None
        dropped = self._losses.dropped()
        dropped.pop(LIMIT_REASON, None)  # those were written, by whomever
        written = self._journal.written
        try:
            stored = self._storage.stored_lines_of(self._journal.process)
        except StoreError:
            return None
        return RecordFigures(written + sum(dropped.values()), stored, max(0, written - stored), dropped)


def _warm_up() -> None:
    """What the first pass and the first correction need is loaded here, and not in the bot's loop."""
    with GATE.loading():
        for name in _NEEDED:
            import_module(name)
