"""Owns the judgement whether a database is what it should be: its pages, its tables, and every value in them."""

import sqlite3
from collections import deque
from contextlib import closing
from functools import cache
from pathlib import Path

from otel_metrics.store.database import MIGRATIONS, SCHEMA_VERSION, statements
from otel_metrics.store.telling import is_of_unknown_format

_JSON = frozenset(
    {"metadata", "tags", "attributes", "events", "links", "root", "fields", "resource", "dropped", "skipped"}
)
_STORED_AS = {
    "TEXT": ("text",), "INTEGER": ("integer",), "BOOLEAN": ("integer",), "REAL": ("real", "integer"),
    "BLOB": ("blob", "text"),
}  # fmt: skip
_WITH_SEGMENTS = 3
Columns = dict[str, str]
"""Names and declared types, in their order."""


def fault_in(connection: sqlite3.Connection) -> str:
    """The first thing that is wrong with a database of this program's schema, in words; empty if nothing is.

    Reads everything: about three seconds for a million rows.
    """
    try:
        return _fault_of_pages(connection) or _fault_of_tables(connection) or _fault_of_values(connection)
    except sqlite3.OperationalError as error:
        if not is_of_text(error):
            raise
        return "a text is not UTF-8"


def is_of_text(error: sqlite3.Error) -> bool:
    """Whether an error says that what should be text is none; SQLite itself does not look at that."""
    return "Could not decode to UTF-8" in str(error)


@cache
def tables(version: int = SCHEMA_VERSION) -> dict[str, Columns]:
    """The tables of a schema, as a database has them that is made now."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for number, script in MIGRATIONS:
            for statement in statements(script) if number <= version else ():
                connection.execute(statement)
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        return {name: columns_of(connection, name) for (name,) in names.fetchall()}


def columns_of(connection: sqlite3.Connection, table: str) -> Columns:
    """The columns that a table has in this database; none if there is no such table."""
    return {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({table})")}


def unsound(columns: Columns) -> str:
    """The SQL condition for rows that hold something that a column of theirs can not hold."""
    return " OR ".join(condition for name, kind in columns.items() for condition in _faults_of(name, kind))


def _faults_of(name: str, kind: str) -> list[str]:
    """Conditions that are true for a value that is wrong, and not for NULL."""
    stored_as = ", ".join(f"'{one}'" for one in (*_STORED_AS[kind], "null"))
    faults = [f"typeof({name}) NOT IN ({stored_as})"]
    if name in _JSON:
        faults.append(f"{name} NOT NULL AND NOT json_valid({name})")
    return faults


def _fault_of_pages(connection: sqlite3.Connection) -> str:
    file = connection.execute("PRAGMA database_list").fetchone()[2]
    if file and is_of_unknown_format(Path(file)):
        return "its format is not known"
    result = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    return "" if result == "ok" else result


def _fault_of_tables(connection: sqlite3.Connection) -> str:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:  # not made yet, or the seed's
        return ""
    for table in tables():
        expected = tables(version).get(table, {})
        if list(columns_of(connection, table).items()) != list(expected.items()):
            return f"table {table} is not as it was made"
    if list(columns_of(connection, "sqlite_sequence")) != ["name", "seq"]:
        return "table sqlite_sequence is not as it was made"
    counters = dict(connection.execute("SELECT name, value FROM counters").fetchall())
    needed = ("seq", "deletions", *(("generation", "store") if version >= _WITH_SEGMENTS else ()))
    if not all(isinstance(counters.get(name), int) for name in needed):
        return "the counters are gone"
    return ""


def _fault_of_values(connection: sqlite3.Connection) -> str:
    for table in tables(connection.execute("PRAGMA user_version").fetchone()[0]):
        columns = columns_of(connection, table)
        row = connection.execute(f"SELECT count(*) FROM {table} WHERE {unsound(columns)}").fetchone()
        if row[0]:
            return f"{row[0]} rows of {table} hold what they can not hold"
        texts = ", ".join(name for name, kind in columns.items() if kind == "TEXT")
        if texts:
            deque(connection.execute(f"SELECT {texts} FROM {table}"), maxlen=0)
    return ""
