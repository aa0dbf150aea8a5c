"""Owns the SQLite file: opening it for writing or reading, its schema version and migrations, the seed's file adopted."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from otel_metrics.errors import StoreError, StoreNewer
from otel_metrics.model.times import iso, to_ns
from otel_metrics.store.aside import files_set_aside, is_bereft
from otel_metrics.store.forks import GATE
from otel_metrics.store.layout import open_private
from otel_metrics.store.telling import blaming, damaged, not_made_yet, telling

APPLICATION_ID = 0x6F746D31  # "otm1"
_WAL_BYTES = 16 << 20
_SEED_TABLES = ("processing_metrics", "correction_metrics", "system_metrics")
_OUR_TABLES = {*_SEED_TABLES, "journal_files", "counters"}


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
    with GATE.connection(), telling(path):
        if is_bereft(path):
            raise damaged(path, "it is empty beside its write-ahead log")
        if not path.exists():
            os.close(open_private(path, os.O_RDWR | os.O_CREAT))
        with closing(
            sqlite3.connect(path.absolute(), isolation_level=None, check_same_thread=False, timeout=30.0)
        ) as connection:
            _check_owner(connection, path)  # before anything is changed
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # heeded where there are no tables yet
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
            connection.execute("PRAGMA synchronous = NORMAL")
            _migrate(connection, path)
            yield connection


@contextmanager
def reading(path: Path, *, any_version: bool = False) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, in one transaction: everything seen through it is of one moment.

    `any_version` also opens a database of an older schema, whose tables are not yet what questions expect.
    """
    with GATE.connection(), telling(path):
        connection = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, isolation_level=None, timeout=30.0)
        with closing(connection):
            version = _check_owner(connection, path)
            if 0 < version < SCHEMA_VERSION and not any_version:
                raise StoreError(
                    f"{path} has schema {version}", f"schema {SCHEMA_VERSION}", "who may write it brings it up to date"
                )
            connection.execute("BEGIN")
            with blaming(connection, path) if version else not_made_yet(path):
                yield connection


def is_rebuilding(connection: sqlite3.Connection) -> bool:
    """Whether the tables are being made anew from the journal, after the database was set aside or lost."""
    return connection.execute("SELECT 1 FROM counters WHERE name = 'rebuilding'").fetchone() is not None


def roll_back(connection: sqlite3.Connection) -> None:
    """Takes a transaction back, unless SQLite has done so itself: the error that it was for is the one to be seen."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


def next_seq(connection: sqlite3.Connection, count: int) -> int:
    """Takes `count` numbers of the store's cursor and gives the one before the first."""
    row = connection.execute(
        "UPDATE counters SET value = value + ? WHERE name = 'seq' RETURNING value", (count,)
    ).fetchone()
    if row is None or not isinstance(row[0], int):
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        raise damaged(Path(path), "its counter is gone")
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
            raise damaged(path, "its header")
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
        if version == 0 and not seed and _had_one_before(path):
            _note_rebuilding(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        if seed:
            _adopt_seed(connection)
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def _had_one_before(path: Path) -> bool:
    """Whether this is not the store's first database: one was set aside, or people were forgotten."""
    return bool(files_set_aside(path)) or path.with_name(f"{path.name}.forgotten").exists()


def _note_rebuilding(connection: sqlite3.Connection) -> None:
    """The tables are filled from the journal again, and who has read the old one must begin anew."""
    connection.execute("INSERT INTO counters VALUES ('rebuilding', 1)")
    connection.execute("UPDATE counters SET value = ? WHERE name IN ('deletions', 'generation')", (time.time_ns(),))


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
