"""Owns the form of cold rows: what a segment leaves out, and the views that make whole rows of it again."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from otel_metrics.analytics.columns import TABLES, Table
from otel_metrics.store.moving import TIME_OF
from otel_metrics.store.segments import Segment

COPY_OPTIONS = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, USE_TMP_FILE false"


def make_view(connection: duckdb.DuckDBPyConnection, table: Table, folder: Path, segments: Sequence[Segment]) -> None:
    """Makes `cold.<table>` over the files of its segments; an empty one where there are none."""
    files = [folder / one.name for one in segments]
    rows = (
        unpacked(table, files, alike=_are_alike(connection, files)) if files else f"FROM hot.{table.name} WHERE false"
    )
    connection.execute(f"CREATE VIEW cold.{table.name} AS {rows}")


def unpacked(table: Table, files: Sequence[Path], *, alike: bool = False) -> str:
    """The SELECT of whole rows, with all their columns, over files of segments. The worker has empty hot tables."""
    rows = f"FROM hot.{table.name} WHERE false UNION ALL BY NAME FROM {scan(files, alike=alike)}"
    return f"SELECT {_unpacked(table)} FROM ({rows})"


def scan(files: Sequence[Path], *, alike: bool = False) -> str:
    """The files of segments as a table. Older ones may lack columns that were added since: they are NULL there.

    Where all files are `alike`, DuckDB is not asked to compare their columns for every statement.
    """
    return f"read_parquet([{', '.join(map(quoted, files))}], union_by_name = {not alike})"


def _are_alike(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> bool:
    """Whether files have the same columns in the same order."""
    (kinds,) = connection.execute(
        "SELECT count(DISTINCT columns) FROM (SELECT file_name, list({'name': name, 'type': type}) AS columns "
        f"FROM parquet_schema([{', '.join(map(quoted, files))}]) GROUP BY file_name)"
    ).fetchall()[0]
    return kinds == 1  # type: ignore[no-any-return]


def view_of_nothing(table: Table, fault: str) -> str:
    """The statement that makes a `cold.<table>` whose every use fails with these words: a segment of it can not be read.

    Each value fails by itself, lest DuckDB finds that no row meets a condition and does not look.
    """
    text = fault.replace("'", "''")
    values = ", ".join(f"CAST(error('{text}') AS {kind}) AS {name}" for name, kind in table.all_columns.items())
    return f"CREATE VIEW cold.{table.name} AS SELECT {values} FROM range(1) WHERE CAST(error('{text}') AS BOOLEAN)"


def packed(table: Table, source: str, where: str = "true") -> str:
    """The SELECT of the rows of `source` as a segment has them, in order of time.

    What follows from other columns is left out: a record's key (the start in microseconds and the span's id), a
    duration, a private chat's id (the user's). A span's id is a number, half the size of its text.
    """
    shorter = _SHORTER if table.packs else {}
    columns = [
        f"{shorter[name]} AS {name}" if name in shorter else name for name in _kept(table) if name != table.packs
    ]
    if table.packs:
        columns += [
            f"CASE WHEN {table.packs} <> {_KEY} OR span_id IS NULL THEN {table.packs} END AS {table.packs}",
            f"CASE WHEN {_REGULAR} THEN CAST('0x' || span_id AS UBIGINT) END AS span_bits",
        ]
    return f"SELECT {', '.join(columns)} FROM {source} WHERE {where} ORDER BY {TIME_OF[table.name]}"


def _kept(table: Table) -> list[str]:
    return [name for name in table.all_columns if name not in table.facts or table.facts[name].kept]


def _unpacked(table: Table) -> str:
    whole = {
        name: f"json_extract_string(CASE WHEN {column} LIKE '%{key}%' AND json_valid({column}) THEN {column} END, '$.\"{key}\"')"
        for name, fact in table.facts.items()
        if not fact.kept
        for column, _, key in [fact.keys[0].partition(".")]
    }
    if table.packs:
        span_id = "coalesce(span_id, printf('%016x', span_bits))"
        whole |= _LONGER | {
            "span_id": span_id,
            table.packs: f"coalesce({table.packs}, printf('%014x', epoch_us(start_time)) || {span_id})",
        }
    return ", ".join(f"{whole[name]} AS {name}" if name in whole else name for name in table.all_columns)


_KEY = "printf('%014x', epoch_us(start_time)) || span_id"
_REGULAR = "regexp_full_match(span_id, '[0-9a-f]{16}')"
_TOOK_MS = "CAST(round((epoch_us(end_time) - epoch_us(start_time)) / 1000.0) AS BIGINT)"
_NONE = "CAST(-9223372036854775808 AS BIGINT)"  # stands for a NULL where NULL stands for what follows
_SHORTER = {
    "span_id": f"CASE WHEN NOT {_REGULAR} THEN span_id END",
    "duration_ms": f"CASE WHEN duration_ms IS NULL THEN {_NONE} WHEN duration_ms <> {_TOOK_MS} THEN duration_ms END",
    "chat_id": "nullif(chat_id, user_id)",
}
_LONGER = {
    "duration_ms": f"CASE WHEN duration_ms IS NULL THEN {_TOOK_MS} ELSE nullif(duration_ms, {_NONE}) END",
    "chat_id": "coalesce(chat_id, user_id)",
}


def quoted(path: Path) -> str:
    """A path as a text in SQL."""
    return "'" + str(path.absolute()).replace("'", "''") + "'"


MOVING = tuple(TABLES[name] for name in TIME_OF)
"""The tables that have cold rows."""
