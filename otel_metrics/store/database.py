"""Owns the SQLite file: opening it for writing or reading, its schema version and migrations, the seed's file adopted."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from otel_metrics.errors import OtelMetricsError, StoreDamaged, StoreError, StoreNewer
from otel_metrics.model.times import iso, to_ns
from otel_metrics.store.aside import files_set_aside, set_strays_aside
from otel_metrics.store.forks import GATE
from otel_metrics.store.layout import open_private

APPLICATION_ID = 0x6F746D31  # "otm1"
_WAL_BYTES = 16 << 20
_SEED_TABLES = ("processing_metrics", "correction_metrics", "system_metrics")
_OUR_TABLES = {*_SEED_TABLES, "journal_files", "counters"}
_DAMAGE = (
    "malformed",
    "no such table",
    "no such column",
    "already exists",
    "duplicate column",
    "unsupported file format",
    "UTF-8",
)
_REPAIR = "run `otel-metrics doctor --repair`"


def _migrations() -> list[tuple[int, str]]:
    folder = files("otel_metrics.store") / "schema"
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted((int(entry.name[:4]), entry.read_text(encoding="utf-8")) for entry in found)


MIGRATIONS = _migrations()
SCHEMA_VERSION = MIGRATIONS[-1][0]


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for writing, with the schema brought up to date. Call only while holding the drain lock.

    Raises `StoreNewer` when a newer program made the schema, `StoreDamaged` when the file is not a sound database.
    """
    with GATE.connection(), _telling(path):
        set_strays_aside(path)
        if not path.exists():
            os.close(open_private(path, os.O_RDWR | os.O_CREAT))
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30.0)) as connection:
            _check_owner(connection, path)  # before anything is changed
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # heeded where there are no tables yet
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            connection.execute("PRAGMA synchronous = NORMAL")
            _migrate(connection, path)
            yield connection


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, in one transaction: everything seen through it is of one moment."""
    with GATE.connection(), _telling(path):
        connection = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, isolation_level=None, timeout=30.0)
        with closing(connection):
            version = _check_owner(connection, path)
            if 0 < version < SCHEMA_VERSION:
                raise StoreError(
                    f"{path} has schema {version}", f"schema {SCHEMA_VERSION}", "who may write it brings it up to date"
                )
            connection.execute("BEGIN")
            with _blaming(connection, path) if version else _empty(path):
                yield connection


def next_seq(connection: sqlite3.Connection, count: int) -> int:
    """Takes `count` numbers of the store's cursor and gives the one before the first."""
    row = connection.execute(
        "UPDATE counters SET value = value + ? WHERE name = 'seq' RETURNING value", (count,)
    ).fetchone()
    if row is None or not isinstance(row[0], int):
        raise StoreDamaged("the database is damaged (its counter is gone)", "a sound SQLite database", _REPAIR)
    return row[0] - count


def note_deletions(connection: sqlite3.Connection) -> None:
    """Tells readers that rows have gone, so that what they hold must be read anew."""
    connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'deletions'")


def _check_owner(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version. Refuses a newer program's database, and another program's, which also may number its schema."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if (version == 0) != (application == 0) or application not in {0, APPLICATION_ID}:
        if application == APPLICATION_ID or _tables(connection) >= _OUR_TABLES:
            raise StoreDamaged(f"{path} is damaged (its header)", "a sound SQLite database", _REPAIR)
        raise StoreError(
            f"{path} is another program's database (application id {application}, schema {version})",
            "a file of otel_metrics, or none", "set METRICS_DATABASE to another path",
        )  # fmt: skip
    if version > SCHEMA_VERSION:
        raise _newer(path, version)
    if version == 0:
        _is_seed(connection, path)
    return version


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        seed = version == 0 and _is_seed(connection, path)
        if seed:
            _set_seed_tables_aside(connection)
        for number, script in MIGRATIONS:
            if number > version:
                for statement in statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        if version == 0 and not seed and files_set_aside(path):
            _note_rebuilding(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        if seed:
            _adopt_seed(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _note_rebuilding(connection: sqlite3.Connection) -> None:
    """A database was set aside: this one is filled from the journal, and who has read the old one must begin anew."""
    connection.execute("INSERT INTO counters VALUES ('rebuilding', 1)")
    connection.execute("UPDATE counters SET value = ? WHERE name = 'deletions'", (time.time_ns(),))


def statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit our transaction first."""
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""


def _is_seed(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a database without a version is the seed's; False for an empty one; `StoreError` for anybody else's."""
    tables = _tables(connection) - {"sqlite_sequence"}
    if not tables:
        return False
    if not set(_SEED_TABLES) <= tables or "sessions" in tables:
        raise StoreError(
            f"{path} is a database with other tables ({', '.join(sorted(tables)[:5])})", "a file of otel_metrics, or none",
            "set METRICS_DATABASE to another path",
        )  # fmt: skip
    return True


def _set_seed_tables_aside(connection: sqlite3.Connection) -> None:
    for (index,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall():
        connection.execute(f'DROP INDEX "{index}"')
    for table in _SEED_TABLES:
        connection.execute(f"ALTER TABLE {table} RENAME TO seed_{table}")


def _adopt_seed(connection: sqlite3.Connection) -> None:
    """Copies the seed's rows into our tables: same columns, times brought to our form, sessions made from the stages."""
    connection.create_function("our_time", 1, _our_time, deterministic=True)
    for table in _SEED_TABLES:
        ours = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        theirs = {row[1] for row in connection.execute(f"PRAGMA table_info(seed_{table})")}
        columns = [name for name in ours if name in theirs]
        values = [f"our_time({name})" if name in {"start_time", "end_time", "timestamp"} else name for name in columns]
        count = connection.execute(f"SELECT count(*) FROM seed_{table}").fetchone()[0]
        base = next_seq(connection, count)
        connection.execute(
            f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}, seq) "
            f"SELECT {', '.join(values)}, ? + row_number() OVER (ORDER BY rowid) FROM seed_{table}",
            (base,),
        )
        connection.execute(f"DROP TABLE seed_{table}")
    base = next_seq(connection, connection.execute("SELECT count(*) FROM processing_metrics").fetchone()[0])
    connection.execute(
        "INSERT INTO sessions (session_id, user_id, chat_id, started_at, metadata, seq) "
        "SELECT session_id, max(user_id), max(chat_id), min(start_time), '{\"adopted\":true}', ? + row_number() OVER () "
        "FROM processing_metrics GROUP BY session_id",
        (base,),
    )


def _our_time(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return iso(to_ns(datetime.fromisoformat(str(text))))
    except ValueError:
        return iso(0)


def _newer(path: Path, version: int) -> StoreNewer:
    return StoreNewer(
        f"{path} has schema {version}", f"at most {SCHEMA_VERSION}", "install the newer otel_metrics that wrote it"
    )


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path.absolute()))


@contextmanager
def _blaming(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """What fails over values that the database should not hold is the database's fault, and is said so."""
    try:
        yield
    except (OtelMetricsError, OSError, sqlite3.Error):
        raise
    except Exception as error:
        from otel_metrics.store.soundness import fault_in

        if fault := fault_in(connection):
            raise _damaged(path, fault) from error
        raise


@contextmanager
def _empty(path: Path) -> Iterator[None]:
    """A database that somebody is about to make: what is not there yet is no damage."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreError(f"{path} has no tables yet", "a store", "it is made by the first bot that records") from error


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """SQLite's errors in our words."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if _is_damage(error, path):
            raise _damaged(path, error) from error
        raise StoreError(f"{path}: {error}", "a database that can be opened", "see `otel-metrics doctor`") from error


def _is_damage(error: sqlite3.DatabaseError, path: Path) -> bool:
    """Whether it is the file's fault. SQLite also calls it a mere error where tables are not there that must be."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_READONLY:
        return _is_of_unknown_format(path)
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or any(word in str(error) for word in _DAMAGE)


def _is_of_unknown_format(path: Path) -> bool:
    """SQLite takes a file for one that may only be read if the numbers of its format are higher than it knows."""
    with path.open("rb") as file:
        return max(file.read(20)[18:], default=0) > 2


def _damaged(path: Path, why: object) -> StoreDamaged:
    return StoreDamaged(f"{path} is damaged ({why})", "a sound SQLite database", _REPAIR)
