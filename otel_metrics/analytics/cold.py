"""Owns the form of cold rows: what a segment leaves out, and the views that make whole rows of it again."""

from collections.abc import Sequence
from pathlib import Path

from otel_metrics.analytics.columns import TABLES, Table
from otel_metrics.store.moving import TIME_OF
from otel_metrics.store.segments import Segment

COPY_OPTIONS = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, USE_TMP_FILE false"


def view_of(table: Table, folder: Path, segments: Sequence[Segment]) -> str:
    """The statement that makes `cold.<table>` over the files of its segments; an empty one where there are none."""
    names = ", ".join(table.all_columns)
    if not segments:
        return f"CREATE VIEW cold.{table.name} AS SELECT {names} FROM hot.{table.name} WHERE false"
    return f"CREATE VIEW cold.{table.name} AS {unpacked(table, [folder / one.name for one in segments])}"


def unpacked(table: Table, files: Sequence[Path]) -> str:
    """The SELECT of whole rows, with all their columns, over files of segments. The worker has empty hot tables."""
    rows = f"FROM hot.{table.name} WHERE false UNION ALL BY NAME FROM {scan(files)}"
    return f"SELECT {_unpacked(table)} FROM ({rows})"


def scan(files: Sequence[Path]) -> str:
    """The files of segments as a table. Older ones may lack columns that were added since: they are NULL there."""
    return f"read_parquet([{', '.join(map(quoted, files))}], union_by_name = true)"


def view_of_nothing(table: Table, fault: str) -> str:
    """The statement that makes a `cold.<table>` whose every use fails with these words: a segment of it can not be read.

    Each value fails by itself, lest DuckDB finds that no row meets a condition and does not look.
    """
    text = fault.replace("'", "''")
    values = ", ".join(f"CAST(error('{text}') AS {kind}) AS {name}" for name, kind in table.all_columns.items())
    return f"CREATE VIEW cold.{table.name} AS SELECT {values} FROM range(1) WHERE CAST(error('{text}') AS BOOLEAN)"


def packed(table: Table, source: str, where: str = "true") -> str:
    """The SELECT of the rows of `source` as a segment has them, in order of time.

    A span's id is kept as a number, half the size of its text; a record's key, which is the start in microseconds and
    that id, is not kept at all. What does not follow that form stays as it is.
    """
    order = f"ORDER BY {TIME_OF[table.name]}"
    if table.packs is None:
        return f"SELECT {', '.join(table.all_columns)} FROM {source} WHERE {where} {order}"
    derived = "printf('%014x', epoch_us(start_time)) || span_id"
    columns = [
        f"CASE WHEN {table.packs} <> {derived} OR span_id IS NULL THEN {table.packs} END AS {table.packs}",
        f"CASE WHEN NOT {_REGULAR} THEN span_id END AS span_id",
        f"CASE WHEN {_REGULAR} THEN CAST('0x' || span_id AS UBIGINT) END AS span_bits",
        *(name for name in table.all_columns if name not in {table.packs, "span_id"}),
    ]
    return f"SELECT {', '.join(columns)} FROM {source} WHERE {where} {order}"


_REGULAR = "regexp_full_match(span_id, '[0-9a-f]{16}')"


def _unpacked(table: Table) -> str:
    if table.packs is None:
        return ", ".join(table.all_columns)
    span_id = "coalesce(span_id, printf('%016x', span_bits))"
    whole = {
        "span_id": f"{span_id} AS span_id",
        table.packs: f"coalesce({table.packs}, printf('%014x', epoch_us(start_time)) || {span_id}) AS {table.packs}",
    }
    return ", ".join(whole.get(name, name) for name in table.all_columns)


def quoted(path: Path) -> str:
    """A path as a text in SQL."""
    return "'" + str(path.absolute()).replace("'", "''") + "'"


MOVING = tuple(TABLES[name] for name in TIME_OF)
"""The tables that have cold rows."""
