"""Owns taking data elsewhere: one table of a period as CSV, JSON, JSON Lines, Parquet or a plain SQLite file."""

import csv
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from otel_metrics.analytics.columns import TABLES, TIME, Table
from otel_metrics.analytics.engine import Engine, Progress
from otel_metrics.errors import QueryError
from otel_metrics.model.times import TIME_FORMS, TimeInput, iso, to_ns

_BATCH = 10_000
_JSON_COLUMNS = frozenset({"metadata", "tags", "attributes", "events", "fields", "resource"})
_RISKY = ("=", "+", "-", "@", "\t", "\r")
_SQLITE_KIND = {"BIGINT": "INTEGER", "DOUBLE": "REAL", "BOOLEAN": "BOOLEAN"}


def export_table(
    engine: Engine, name: str, path: Path, form: str, since: TimeInput | None, until: TimeInput | None,
    progress: Progress | None = None,
) -> int:  # fmt: skip
    """Writes the rows of table `name` whose time lies in (since, until] to `path` and gives their number.

    The file appears whole under its name or not at all. Times are ISO-8601 UTC text in CSV, JSON, JSONL and SQLite,
    and timestamps in Parquet. In CSV a text that a spreadsheet would take for a formula gets a leading apostrophe.
    """
    table = TABLES.get(name)
    if table is None:
        raise QueryError(f"no table {name!r}", f"one of {', '.join(TABLES)}", "name one of them")
    writer = _WRITERS.get(form)
    if writer is None:
        raise QueryError(f"no format {form!r}", f"one of {', '.join(_WRITERS)}", "name one of them")
    if path.is_dir() or not path.parent.is_dir():
        raise QueryError(f"{path} can not be written", "a file in a folder that exists", "give another path")
    where, parameters = _period(table, since, until)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        count = writer(engine, table, where, parameters, draft, progress)
        draft.chmod(0o600)  # it holds the ids that the store holds
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return count


def _period(table: Table, since: TimeInput | None, until: TimeInput | None) -> tuple[str, dict[str, Any]]:
    parts, parameters = [], {}
    for name, given, sign in (("since", since, ">"), ("until", until, "<=")):
        if given is None:
            continue
        try:
            moment = datetime.fromtimestamp(to_ns(given) / 1e9, UTC).replace(tzinfo=None)
        except (ValueError, OverflowError, OSError) as error:
            raise QueryError(
                f"{name}={given!r} can not be read", TIME_FORMS, "for example 2026-01-31T12:00:00Z"
            ) from error
        parts.append(f"{table.time} {sign} ${name}")
        parameters[name] = moment
    return (" WHERE " + " AND ".join(parts) if parts else ""), parameters


def _rows(
    engine: Engine, table: Table, where: str, parameters: dict[str, Any], progress: Progress | None
) -> Iterator[list[Any]]:
    """The rows in order of time, times as text, in batches, so that memory stays small."""
    total = engine.run(f"SELECT count(*) FROM {table.name}{where}", parameters).rows[0][0]
    cursor = engine.connection.cursor()
    cursor.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}{where}{_ordered(table)}", parameters)
    times = [position for position, kind in enumerate(table.columns.values()) if kind == TIME]
    done = 0
    while batch := cursor.fetchmany(_BATCH):
        for row in batch:
            values = list(row)
            for position in times:
                values[position] = _time_text(values[position])
            yield values
        done += len(batch)
        if progress:
            progress(done, total)


def _ordered(table: Table) -> str:
    return f" ORDER BY {table.time}, {next(iter(table.columns))}"


def _time_text(moment: datetime | None) -> str | None:
    return None if moment is None else iso(to_ns(moment.replace(tzinfo=UTC)))


def _as_object(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return {
        name: msgspec.Raw(value.encode()) if name in _JSON_COLUMNS and value else value
        for name, value in zip(names, values, strict=True)
    }


def _write_csv(engine: Engine, table: Table, where: str, parameters: Any, path: Path, progress: Progress | None) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        for count, values in enumerate(_rows(engine, table, where, parameters, progress), 1):
            writer.writerow(
                [f"'{value}" if isinstance(value, str) and value.startswith(_RISKY) else value for value in values]
            )
    return count


def _write_jsonl(
    engine: Engine, table: Table, where: str, parameters: Any, path: Path, progress: Progress | None
) -> int:
    count, names = 0, list(table.columns)
    encoder = msgspec.json.Encoder()
    with path.open("wb") as file:
        for count, values in enumerate(_rows(engine, table, where, parameters, progress), 1):
            file.write(encoder.encode(_as_object(names, values)) + b"\n")
    return count


def _write_json(
    engine: Engine, table: Table, where: str, parameters: Any, path: Path, progress: Progress | None
) -> int:
    count, names = 0, list(table.columns)
    encoder = msgspec.json.Encoder()
    with path.open("wb") as file:
        file.write(b"[")
        for count, values in enumerate(_rows(engine, table, where, parameters, progress), 1):
            file.write((b"\n" if count == 1 else b",\n") + encoder.encode(_as_object(names, values)))
        file.write(b"\n]\n")
    return count


def _write_parquet(
    engine: Engine, table: Table, where: str, parameters: Any, path: Path, progress: Progress | None
) -> int:
    """The engine itself has no access to files, so a second DuckDB writes what the first one hands it as Arrow."""
    rows = engine.connection.cursor().sql(f"SELECT * FROM {table.name}{where}{_ordered(table)}", params=parameters)
    with closing(duckdb.connect()) as files:
        files.register("source", _ArrowStream(rows))
        quoted = str(path).replace("'", "''")
        count = int(
            files.execute(f"COPY (FROM source) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)").fetchall()[0][0]
        )
    if progress:
        progress(count, count)
    return count


class _ArrowStream:
    """What one DuckDB reads of another: only the Arrow stream, since a relation of another connection is refused."""

    def __init__(self, rows: duckdb.DuckDBPyRelation) -> None:
        self._rows = rows

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._rows.__arrow_c_stream__(requested_schema)


def _write_sqlite(
    engine: Engine, table: Table, where: str, parameters: Any, path: Path, progress: Progress | None
) -> int:
    columns = ", ".join(f"{name} {_SQLITE_KIND.get(kind, 'TEXT')}" for name, kind in table.columns.items())
    marks = ", ".join("?" * len(table.columns))
    with closing(sqlite3.connect(path)) as target:
        target.execute(f"CREATE TABLE {table.name} ({columns})")
        with target:
            target.executemany(
                f"INSERT INTO {table.name} VALUES ({marks})", _rows(engine, table, where, parameters, progress)
            )
        return int(target.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0])


_Writer = Callable[[Engine, Table, str, Any, Path, Progress | None], int]
_WRITERS: dict[str, _Writer] = {
    "csv": _write_csv,
    "json": _write_json,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
    "sqlite": _write_sqlite,
}
