"""Owns the way of hot rows from SQLite into a DuckDB: as JSON lines, which cross from one to the other in one piece."""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import duckdb

from otel_metrics.analytics.columns import FLAG, INTEGER, REAL, TABLES, TEXT, TIME, Fact, Table

_FETCHED = 10_000
_BATCH = 200_000
_BATCH_CHARACTERS = 64_000_000
_WORKERS = 2
_READ = {
    TEXT: "{0}",
    INTEGER: "TRY_CAST({0} AS BIGINT)",
    REAL: "TRY_CAST({0} AS DOUBLE)",
    FLAG: "{0} <> '0'",
    # A time that a damaged disk made unreadable is the first moment there is: it does not keep a table from being read.
    TIME: "CASE WHEN {0} IS NOT NULL THEN coalesce(TRY_CAST({0} AS TIMESTAMP), TIMESTAMP 'epoch') END",
}
Progress = Callable[[int, int], None]


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """The schema `hot`, with an empty table for each of the store's."""
    connection.execute("CREATE SCHEMA hot")
    for table in TABLES.values():
        columns = ", ".join(f"{name} {kind}" for name, kind in table.all_columns.items())
        connection.execute(f"CREATE TABLE hot.{table.name} ({columns})")


def load(
    connection: duckdb.DuckDBPyConnection, source: sqlite3.Connection, table: Table, *, where: str = "true",
    parameters: Mapping[str, object] | None = None, replaces: bool = False, progress: Progress | None = None,
) -> int:  # fmt: skip
    """Copies the rows of one table that meet a condition and gives their number.

    `replaces`: rows of the same key that are there already go. SQLite makes one JSON text of each row, and DuckDB reads
    them while the next ones are fetched: no value becomes a Python object.
    """
    parameters = dict(parameters or {})
    total = 0
    if progress:
        total = source.execute(f"SELECT count(*) FROM {table.name} WHERE {where}", parameters).fetchone()[0]
    cursor = source.execute(
        f"SELECT json_array({', '.join(table.columns)}) FROM {table.name} WHERE {where}", parameters
    )
    done = 0
    statements = _statements(table, replaces=replaces)
    pending: deque[Future[None]] = deque()
    with ThreadPoolExecutor(_WORKERS, "otel_metrics load") as executor:
        for lines in _batches(cursor):
            if len(pending) == _WORKERS:
                pending.popleft().result()
            pending.append(executor.submit(_insert, connection, statements, "\n".join(lines)))
            done += len(lines)
            if progress:
                progress(done, total)
        for one in pending:
            one.result()
    return done


def insert_lines(connection: duckdb.DuckDBPyConnection, table: Table, into: str, lines: Sequence[str]) -> None:
    """Puts rows into a table that has all columns of `table`; each line is a JSON array of its stored columns."""
    connection.execute(f"INSERT INTO {into} {_rows_of_lines(table)}", {"lines": "\n".join(lines)})


def _insert(connection: duckdb.DuckDBPyConnection, statements: list[str], lines: str) -> None:
    incoming, *then = statements
    with connection.cursor() as cursor:  # a connection of its own to the same DuckDB: two can insert at once
        cursor.execute(incoming, {"lines": lines})
        for statement in then:
            cursor.execute(statement)


def _batches(cursor: sqlite3.Cursor) -> Iterator[list[str]]:
    """Lines in large pieces, since each has its price in DuckDB; smaller ones where rows hold long texts."""
    lines: list[str] = []
    size = 0
    while rows := cursor.fetchmany(_FETCHED):
        fetched = [row[0] for row in rows]
        lines += fetched
        size += sum(map(len, fetched))
        if len(lines) >= _BATCH or size >= _BATCH_CHARACTERS:
            yield lines
            lines, size = [], 0
    if lines:
        yield lines


def _statements(table: Table, *, replaces: bool) -> list[str]:
    rows = _rows_of_lines(table)
    if not replaces or table.key is None:
        return [f"INSERT INTO hot.{table.name} BY NAME {rows}"]
    return [
        f"CREATE OR REPLACE TEMP TABLE incoming AS {rows}",
        f"DELETE FROM hot.{table.name} WHERE {table.key} IN (SELECT {table.key} FROM incoming)",
        f"INSERT INTO hot.{table.name} BY NAME FROM incoming",
        "DROP TABLE incoming",
    ]


def _rows_of_lines(table: Table) -> str:
    """The SELECT that makes rows of `$lines`, each a JSON array of the table's columns, with the facts drawn out."""
    paths = ", ".join(f"'$[{place}]'" for place in range(len(table.columns)))
    columns = ", ".join(
        f"{_READ[kind].format(f'v[{place}]')} AS {name}" for place, (name, kind) in enumerate(table.columns.items(), 1)
    )
    rows = (
        f"SELECT {columns} FROM (SELECT json_extract_string(line, [{paths}]) AS v "
        "FROM (SELECT unnest(string_split($lines, chr(10))) AS line))"
    )
    return with_facts(table, f"({rows})")


def with_facts(table: Table, source: str) -> str:
    """The SELECT of a table's columns out of `source`, followed by the facts that stand in its JSON columns."""
    names = ", ".join(table.columns)
    if not table.facts:
        return f"SELECT {names} FROM {source}"
    keys: dict[str, list[str]] = {}
    for fact in table.facts.values():
        for key in fact.keys:
            column, _, name = key.partition(".")
            if name not in keys.setdefault(column, []):
                keys[column].append(name)
    drawn = ", ".join(
        f"json_extract_string(CASE WHEN length({column}) > 2 AND json_valid({column}) THEN {column} END, "
        f"[{', '.join(map(_path, paths))}]) AS _{column}"
        for column, paths in keys.items()
    )
    facts = ", ".join(f"{_fact(fact, keys)} AS {name}" for name, fact in table.facts.items())
    return f"SELECT {names}, {facts} FROM (SELECT *, {drawn} FROM {source})"


def _path(name: str) -> str:
    return f"'$.\"{name}\"'"


def _fact(fact: Fact, keys: Mapping[str, list[str]]) -> str:
    values = []
    for key in fact.keys:
        column, _, path = key.partition(".")
        values.append(_READ[fact.kind].format(f"_{column}[{keys[column].index(path) + 1}]"))
    return f"coalesce({', '.join(values)})" if len(values) > 1 else values[0]
