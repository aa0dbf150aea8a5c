"""Owns the examination of a store: what `doctor` looks at, what it found and what to do."""

import os
import socket
import sqlite3
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

import msgspec

from otel_metrics.errors import StoreDamaged, StoreError, StoreNewer
from otel_metrics.settings import Settings, otel_environment
from otel_metrics.store.accounts import Account
from otel_metrics.store.alive import is_alive
from otel_metrics.store.cursor import load_cursor
from otel_metrics.store.database import SCHEMA_VERSION
from otel_metrics.store.journal_files import read_header
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.segments import files_set_aside, foreign, listed, missing_or_broken
from otel_metrics.store.soundness import fault_in
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.store.telling import REPAIR, damaged

_LIBRARIES = ("otel_metrics", "opentelemetry-sdk", "duckdb", "msgspec", "rapidfuzz")
_TABLES = ("processing_metrics", "correction_metrics", "system_metrics", "sessions", "spans", "logs", "running")
_REMEDIES = dict.fromkeys(("disk_cap", "retention"), "raise METRICS_MAX_BYTES, or lower METRICS_RETENTION_DAYS")
_WAL_BUG_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `ok` None is information alone; `error` is what a failed look raised, if it has an exit status of its own."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""
    error: StoreError | None = None
    figures: dict[str, object] | None = None


def examine(storage: MetricsStorage, settings: Settings) -> list[Check]:
    """Looks at versions, files, journal and tables; changes nothing."""
    from otel_metrics.store.aftermath import damage

    checks = [_libraries(), _sqlite(), *_files(storage.layout), _delivery(storage.layout)]
    if not storage.exists():
        return [
            *checks,
            *damage(None, storage.layout),
            Check(
                "database",
                None,
                f"{storage.layout.database} is not there yet",
                "it is made by the first bot that records",
            ),
        ]
    try:
        with storage.reading() as connection:
            checks += [
                _soundness(connection, storage.layout),
                *damage(connection, storage.layout),
                _counts(connection),
                *_segments(connection, storage.layout),
                _journal(connection, storage.layout),
                *_interrupted(connection),
                *_removals(connection),
                *_imports(connection),
            ]
        checks.append(_records(storage.account()))
    except (StoreDamaged, StoreNewer, StoreError) as error:
        if all(one.name != "database" for one in checks):  # nothing could be asked of the tables
            checks += damage(None, storage.layout)
        checks.append(Check("database", False, error.found, error.remedy, error))
    checks.append(Check("recording", None, "on" if settings.enabled else "switched off by ENABLE_METRICS"))
    return checks


def _libraries() -> Check:
    found = []
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return Check("versions", None, ", ".join(found))


def _sqlite() -> Check:
    number = sqlite3.sqlite_version_info
    safe = number >= _WAL_BUG_FIXED[0] or any(number[:2] == fixed[:2] and number >= fixed for fixed in _WAL_BUG_FIXED)
    found = f"SQLite {sqlite3.sqlite_version}"
    if number < (3, 38):
        return Check("sqlite", False, found, "3.38 or newer is needed: use a newer Python build")
    if safe:
        return Check("sqlite", True, found)
    return Check(
        "sqlite",
        True,
        f"{found}; it has a rare WAL bug when two processes write at once, which the drain lock rules out",
    )


def _files(layout: StoreLayout) -> list[Check]:
    checks = []
    for path in (layout.database, layout.log_file, layout.key_file):
        if not path.exists():
            continue
        mode = path.stat().st_mode & 0o777
        private = mode & 0o077 == 0
        size = size_of(path.stat().st_size)
        checks.append(
            Check("file", private, f"{path}, {size}, mode {mode:04o}", "" if private else f"chmod 600 {path}")
        )
    folders = {layout.database.absolute().parent, layout.log_file.absolute().parent}
    checks += [
        Check("folder", False, f"{folder} can not be written", "give its user the right to write")
        for folder in folders
        if folder.exists() and not os.access(folder, os.W_OK)
    ]
    if layout.rejected_file.exists():
        size = size_of(layout.rejected_file.stat().st_size)
        checks.append(
            Check(
                "rejected",
                False,
                f"{layout.rejected_file} holds lines that could not be read, {size}",
                "look at it, then remove it",
            )
        )
    return checks


def _delivery(layout: StoreLayout) -> Check:
    endpoint = otel_environment("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or otel_environment("OTEL_EXPORTER_OTLP_ENDPOINT")
    if otel_environment("OTEL_TRACES_EXPORTER") == "otel_metrics":
        return Check(
            "otlp", False, "OTEL_TRACES_EXPORTER=otel_metrics puts the store behind batching: the last spans are lost on kill -9",
            "call configure() or add StoreSpanProcessor() to the provider",
        )  # fmt: skip
    to = f"spans are sent to {endpoint}" if endpoint else "nothing is sent (OTEL_EXPORTER_OTLP_ENDPOINT is not set)"
    cursor = load_cursor(layout)
    if cursor is None:
        return Check("otlp", None, to)
    headers = ((read_header(path), path) for path in layout.journal_files())
    waiting = sum(cursor.unsent_bytes(header.journal_id, path.stat().st_size) for header, path in headers if header)
    found = f"{to}; {cursor.sent:,} sent, {cursor.refused:,} refused, {size_of(waiting)} of log wait"
    if cursor.failing_since:
        return Check(
            "otlp",
            False,
            f"{found}; nothing goes out since {cursor.failing_since}",
            "look at the collector; all is kept until it answers",
        )
    remedy = f"where nothing is to be sent any more, remove {layout.forward_file}" if waiting and not endpoint else ""
    return Check("otlp", None, found, remedy)


def _soundness(connection: sqlite3.Connection, layout: StoreLayout) -> Check:
    fault = fault_in(connection)
    number = connection.execute("PRAGMA user_version").fetchone()[0]
    if fault:
        error = damaged(layout.database, fault)
        return Check("database", False, error.found, error.remedy, error)
    return Check("database", True, f"sound, schema {number} of {SCHEMA_VERSION}")


def _counts(connection: sqlite3.Connection) -> Check:
    counts = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES}
    return Check("rows", None, ", ".join(f"{table} {count:,}" for table, count in counts.items()))


def _segments(connection: sqlite3.Connection, layout: StoreLayout) -> list[Check]:
    """The files of the cold rows; each that is not as it was made."""
    found, others = listed(connection), foreign(connection, layout)
    checks = []
    if others:
        remedy = "`otel-metrics doctor --repair` takes over what is only there"
        checks.append(
            Check("segments", None, f"{len(others)} files of another database in {layout.segments_folder}", remedy)
        )
    checks += [
        Check(
            "set aside",
            None,
            f"{path}, {size_of(path.stat().st_size)}, is damaged: remove it when nothing is wanted of it",
        )
        for path in files_set_aside(layout)
    ]
    if not found:
        return checks
    size = size_of(sum(one.bytes for one in found))
    summary = f"{len(found)} files with {sum(one.rows for one in found):,} rows, {size}, in {layout.segments_folder}"
    faults = missing_or_broken(layout, found)
    if not faults:
        return [*checks, Check("segments", True, summary)]
    errors = [StoreDamaged(fault, "a sound Parquet file", REPAIR) for fault in faults.values()]
    return [*checks, *(Check("segments", False, error.found, error.remedy, error) for error in errors)]


def _journal(connection: sqlite3.Connection, layout: StoreLayout) -> Check:
    """Bytes written and not yet moved into the tables, over all journal files."""
    offsets = dict(connection.execute("SELECT journal_id, offset FROM journal_files").fetchall())
    lines, rejected = connection.execute(
        "SELECT coalesce(sum(lines), 0), coalesce(sum(rejected), 0) FROM journal_files"
    ).fetchone()
    waiting = 0
    paths = layout.journal_files()
    for path in paths:
        header = read_header(path)
        if header is not None:
            waiting += max(0, path.stat().st_size - offsets.get(header.journal_id, 0))
    found = f"{len(paths)} files, {lines:,} records stored, {rejected:,} set aside, {size_of(waiting)} waiting"
    return Check("journal", rejected == 0, found, "" if rejected == 0 else f"see {layout.rejected_file}")


def _records(account: Account) -> Check:
    """The equation: nothing that was emitted may be anywhere else."""
    return Check(
        "records", account.missing == 0, account.equation(),
        "" if account.missing == 0 else "log files were deleted or changed by somebody, or the store was restored from a backup",
        figures=asdict(account),
    )  # fmt: skip


def _removals(connection: sqlite3.Connection) -> list[Check]:
    """What the size limit cost, what was too old before it was sent, and what was lost with a damaged segment."""
    return [
        Check("removed", None, f"{count:,} {what} (since {first[:10]}, {reason})", _REMEDIES.get(reason, ""))
        for reason, what, count, first in connection.execute(
            "SELECT reason, what, sum(count), min(timestamp) FROM removals GROUP BY reason, what ORDER BY reason, what"
        ).fetchall()
    ]  # fmt: skip


def _imports(connection: sqlite3.Connection) -> list[Check]:
    """What came from elsewhere, beside the account of what was recorded here."""
    files, stored, known = connection.execute("SELECT count(*), sum(stored), sum(known) FROM imports").fetchone()
    if not files:
        return []
    skipped: Counter[str] = Counter()
    for (told,) in connection.execute("SELECT skipped FROM imports WHERE skipped IS NOT NULL"):
        skipped += Counter(msgspec.json.decode(told, type=dict[str, int]))
    left = "".join(f", {count:,} {reason}" for reason, count in sorted(skipped.items()))
    found = f"{stored:,} records from {files} file{'' if files == 1 else 's'}; {known:,} were here already{left}"
    return [Check("imported", None, found, figures={"stored": stored, "known": known, "skipped": dict(skipped)})]


def _interrupted(connection: sqlite3.Connection) -> list[Check]:
    """Stages whose process is gone: they will never end by themselves."""
    rows = connection.execute(
        "SELECT process, coalesce(pid, 0), host, count(*) FROM running LEFT JOIN processes USING (process) GROUP BY process"
    ).fetchall()
    dead = [count for process, pid, host, count in rows if is_dead(process, pid, host)]
    if not dead:
        return []
    return [
        Check(
            "running",
            None,
            f"{sum(dead)} stages were interrupted: their processes are gone",
            "see `otel-metrics queue`",
        )
    ]


def is_dead(process: str, pid: int | None, host: str | None) -> bool:
    """Whether a process that wrote is gone; one of another host counts as alive, since nobody can tell here."""
    if not pid:
        digits = process.partition("-")[0]
        pid = int(digits) if digits.isdigit() else 0
    if not pid or (host is not None and host != socket.gethostname()):
        return False
    return not is_alive(pid)


def size_of(count: float) -> str:
    """Bytes in a unit for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
