"""Owns the way from `--database` to answers: the settings, taking in what the journal holds, and a store that is not there."""

import shlex
import shutil
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from otel_metrics.delivery.cli.progress import Work
from otel_metrics.delivery.cli.streams import note
from otel_metrics.errors import SettingError, StoreDamaged, StoreError, StoreNewer
from otel_metrics.settings import Settings, load, otel_environment
from otel_metrics.store.drain import DrainReport
from otel_metrics.store.journal_files import read_header
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

if TYPE_CHECKING:
    from otel_metrics.analytics.answers import Answers

_PROGRAM = "otel-metrics"
NOT_SENT = (
    "METRICS_BACKEND: ClickHouse is asked. What OTLP does not carry is left out: running stages and who waits for a "
    "moderator, log lines, system metrics, restarts, error messages, texts. Ids are the numbers of their keyed hashes."
)
_WAIT_S = 2.0
_LONG_BYTES = 4_000_000
_POLL_S = 0.1


@dataclass(slots=True)
class Desk:
    """A store that is open for questions. `exists` is False where nobody has recorded anything yet."""

    settings: Settings
    storage: MetricsStorage
    answers: "Answers"
    exists: bool
    option: str = ""

    def absent(self) -> str:
        """What there is to say of a store that is not there."""
        return f"No store at {self.settings.database} yet: `otel-metrics demo{self.option}` makes one to look at."


def settings_for(database: Path | None) -> Settings:
    """The settings of a command. A database that is named by an option has its log beside it, unless the environment says where."""
    arguments: dict[str, object] = {"database": database}
    # Whether the variable is set can not be told from the settings: it may name the very default.
    if database is not None and database.name and not otel_environment("METRICS_LOG_FILE"):
        arguments["log_file"] = database.with_suffix(".jsonl")
    settings = load(arguments)
    if settings.database.absolute() == settings.log_file.absolute():
        raise SettingError(
            f"database and log are one file, {settings.database}", "two files", "name the SQLite file, such as metrics.db"
        )  # fmt: skip
    return settings


def program_called() -> str:
    """How a shell finds this program: its name, or where that is not on the PATH the path that it was called by."""
    called = Path(sys.argv[0])
    if called.name != _PROGRAM or not called.parent.parts or shutil.which(_PROGRAM) == str(called.absolute()):
        return _PROGRAM
    return shlex.quote(sys.argv[0])


def database_option(database: Path | None) -> str:
    """What a command that is proposed needs to look at the same store."""
    return "" if database is None else f" --database {shlex.quote(str(database))}"


def storage_of(settings: Settings) -> MetricsStorage:
    """The store of these settings; nothing is opened or made."""
    return MetricsStorage(StoreLayout(settings.database, settings.log_file), settings)


def is_there(storage: MetricsStorage) -> bool:
    """Whether anything was ever recorded: the database is there, or a log of ours that waits to be moved into one."""
    return storage.exists() or any(read_header(path) for path in _log_files(storage))


@contextmanager
def reading(database: Path | None, *, local: bool = False) -> Iterator[Desk]:
    """Opens the store for questions, with everything recorded so far moved into its tables first.

    Where METRICS_BACKEND names a ClickHouse, it is asked instead, unless the command is `local`.
    """
    from otel_metrics.analytics.answers import Answers

    settings = settings_for(database)
    if local:
        settings = replace(settings, backend=None)
    storage = storage_of(settings)
    exists = settings.backend is not None or is_there(storage)
    if settings.backend is not None:
        note(NOT_SENT)
    elif exists:
        take_in(storage)
        make_fast(storage, settings)
    answers = Answers(storage, settings)
    try:
        with Work("Reading the store") as work:
            answers.refresh(work.update)
        yield Desk(settings, storage, answers, exists, database_option(database))
    finally:
        answers.close()


def make_fast(storage: MetricsStorage, settings: Settings) -> None:
    """Takes over segments of an earlier database, and moves rows into segments where many have come: later answers are faster. Where it can not be done, nothing is lost."""
    from otel_metrics.analytics.cold_store import take_over
    from otel_metrics.analytics.compaction import compact, is_due

    try:
        adopted = take_over(storage, 0.0)
        if adopted and adopted.rows:
            note(
                f"{sum(adopted.rows.values()):,} rows of an earlier database were taken over, in {storage.layout.segments_folder}"
            )
        if not is_due(storage, settings.compact_rows):
            return
        with Work("Moving rows into segments") as work:
            compact(storage, settings, wait_s=0.0, progress=work.update)
    except (StoreDamaged, StoreNewer):
        raise
    except (StoreError, OSError, sqlite3.Error) as error:
        note(f"rows could not be moved into segments ({error}); answers take longer")


def take_in(storage: MetricsStorage) -> None:
    """Drains the journal; where that can not be done now, says so and leaves the tables as they are."""
    try:
        waiting = _waiting_bytes(storage) or 0
        report = _drain_watched(storage, waiting) if waiting > _LONG_BYTES else storage.drain(_WAIT_S)
    except (StoreDamaged, StoreNewer):
        raise
    except (StoreError, OSError) as error:
        if isinstance(error, StoreError) and not isinstance(error.__cause__, sqlite3.Error):
            raise
        reason = error.found if isinstance(error, StoreError) else (error.strerror or error)
        note(f"the log could not be moved into the tables ({reason}); the newest records may be missing here")
        return
    if report.held:
        note("another process is moving the log into the tables; the newest records may be missing here")
    if report.rejected:
        note(f"{report.rejected} lines of the log could not be read; they are in {storage.layout.rejected_file}")


def _drain_watched(storage: MetricsStorage, total: int) -> DrainReport:
    """Drains in a thread, so that this one can show how far it is."""
    drain = _Draining(storage)
    drain.start()
    with Work("Moving the log into the tables") as work:
        while drain.is_alive():
            drain.join(_POLL_S)
            waiting = _waiting_bytes(storage)
            if waiting is not None:
                work.update(max(0, total - waiting), total)
    if drain.error is not None:
        raise drain.error
    return drain.report


class _Draining(threading.Thread):
    """A drain that keeps what it gave or raised. As a daemon it does not hold up Ctrl-C; the store allows for that."""

    def __init__(self, storage: MetricsStorage) -> None:
        super().__init__(name="otel_metrics drain", daemon=True)
        self._storage = storage
        self.report = DrainReport()
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.report = self._storage.drain(_WAIT_S)
        except Exception as error:  # it is raised again where the drain was asked for
            self.error = error


def _waiting_bytes(storage: MetricsStorage) -> int | None:
    """Bytes of the journal that are not in the tables yet; None where the tables can not tell now."""
    offsets: dict[str, int] = {}
    if storage.exists():
        try:
            with storage.reading() as connection:
                offsets = dict(connection.execute("SELECT journal_id, offset FROM journal_files").fetchall())
        except StoreError:  # not made yet, or not sound: the drain will say so
            return None
    waiting = 0
    for path in _log_files(storage):
        with suppress(FileNotFoundError):  # a rotated file goes as soon as it has been read
            header = read_header(path)
            if header is not None:
                waiting += max(0, path.stat().st_size - offsets.get(header.journal_id, 0))
    return waiting


def _log_files(storage: MetricsStorage) -> list[Path]:
    return storage.layout.journal_files()
