"""Owns taking data elsewhere: one table of a period as CSV, JSON, JSON Lines, Parquet or a plain SQLite file."""

import csv
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec

from otel_metrics.analytics.columns import TABLES, TIME, Table
from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.hot import Progress
from otel_metrics.analytics.window import time_of
from otel_metrics.errors import QueryError
from otel_metrics.model.times import TimeInput, iso, to_ns

if TYPE_CHECKING:
    from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine

_JSON_COLUMNS = frozenset({"metadata", "tags", "attributes", "events", "links", "root", "fields", "resource"})
_RISKY = ("=", "+", "-", "@", "\t", "\r")
_encode = msgspec.json.Encoder().encode
_SQLITE_KIND = {"BIGINT": "INTEGER", "DOUBLE": "REAL", "BOOLEAN": "BOOLEAN"}


def export_table(
    engine: "Engine | ClickHouseEngine", name: str, path: Path, form: str, since: TimeInput | None, until: TimeInput | None,
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
    selection = Selection(engine, table, *_period(table, since, until), progress)
    with whole_file(path) as draft:
        if isinstance(engine, Engine):
            engine.check_segments(name)
            with engine.blaming_segments():
                writer(selection, draft)
        else:
            writer(selection, draft)
    return selection.count


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a name to write to, and puts what was written there, if anything, in the place of `path` when all went well."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        yield draft
        if draft.exists():
            draft.chmod(0o600)  # it holds what the store holds
            os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@dataclass(slots=True)
class Selection:
    """The rows to export; `count` is how many were handed out."""

    engine: "Engine | ClickHouseEngine"
    table: Table
    where: str
    parameters: dict[str, Any]
    progress: Progress | None
    count: int = 0

    def statement(self, columns: str = "*") -> str:
        """The SELECT of the rows, in order of time."""
        first = next(iter(self.table.columns))
        return f"SELECT {columns} FROM {self.table.name}{self.where} ORDER BY {self.table.time}, {first}"

    def rows(self) -> Iterator[list[Any]]:
        """The rows, times as text, fetched in batches so that memory stays small."""
        total = self.engine.run(f"SELECT count(*) FROM {self.table.name}{self.where}", self.parameters).rows[0][0]
        batches = self.engine.stream(self.statement(", ".join(self.table.columns)), self.parameters)
        times = [position for position, kind in enumerate(self.table.columns.values()) if kind == TIME]
        for batch in batches:
            for row in batch:
                values = list(row)
                for position in times:
                    values[position] = _time_text(values[position])
                yield values
            self.count += len(batch)
            if self.progress:
                self.progress(self.count, total)

    def objects(self) -> Iterator[dict[str, Any]]:
        """The rows as objects, JSON columns as the JSON that they are."""
        names = list(self.table.columns)
        for values in self.rows():
            yield {
                name: msgspec.Raw(value.encode()) if name in _JSON_COLUMNS and value else value
                for name, value in zip(names, values, strict=True)
            }


def _period(table: Table, since: TimeInput | None, until: TimeInput | None) -> tuple[str, dict[str, Any]]:
    parts, parameters = [], {}
    for name, given, sign in (("since", since, ">"), ("until", until, "<=")):
        if given is None:
            continue
        parts.append(f"{table.time} {sign} ${name}")
        parameters[name] = time_of(name, given)
    return (" WHERE " + " AND ".join(parts) if parts else ""), parameters


def _time_text(moment: datetime | None) -> str | None:
    return None if moment is None else iso(to_ns(moment.replace(tzinfo=UTC)))


def _write_csv(selection: Selection, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(selection.table.columns)
        for values in selection.rows():
            writer.writerow(
                [f"'{cell}" if isinstance(cell, str) and cell.startswith(_RISKY) else cell for cell in values]
            )


def _write_jsonl(selection: Selection, path: Path) -> None:
    with path.open("wb") as file:
        file.writelines(_encode(row) + b"\n" for row in selection.objects())


def _write_json(selection: Selection, path: Path) -> None:
    with path.open("wb") as file:
        before = b"[\n"
        for row in selection.objects():
            file.write(before + _encode(row))
            before = b",\n"
        file.write(b"\n]\n" if selection.count else b"[]\n")


def _write_parquet(selection: Selection, path: Path) -> None:
    """ClickHouse makes the file. DuckDB's engine has no access to files, so a second one writes what the first one hands it as Arrow."""
    if not isinstance(selection.engine, Engine):
        counted = selection.engine.run(
            f"SELECT count(*) FROM {selection.table.name}{selection.where}", selection.parameters
        )
        selection.engine.write_parquet(selection.statement(), selection.parameters, path)
        selection.count = counted.rows[0][0]
        return
    rows = selection.engine.connection.cursor().sql(selection.statement(), params=selection.parameters)
    with closing(duckdb.connect()) as files:
        files.execute("SET enable_progress_bar = false")
        files.register("source", _ArrowStream(rows))
        quoted = str(path).replace("'", "''")
        answer = files.execute(f"COPY (FROM source) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)").fetchall()
    selection.count = int(answer[0][0])


class _ArrowStream:
    """What one DuckDB reads of another: only the Arrow stream, since a relation of another connection is refused."""

    def __init__(self, rows: duckdb.DuckDBPyRelation) -> None:
        self._rows = rows

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._rows.__arrow_c_stream__(requested_schema)


def _write_sqlite(selection: Selection, path: Path) -> None:
    table = selection.table
    columns = ", ".join(f"{name} {_SQLITE_KIND.get(kind, 'TEXT')}" for name, kind in table.columns.items())
    marks = ", ".join("?" * len(table.columns))
    with closing(sqlite3.connect(path)) as target, target:
        target.execute(f"CREATE TABLE {table.name} ({columns})")
        target.executemany(f"INSERT INTO {table.name} VALUES ({marks})", selection.rows())


_WRITERS: dict[str, Callable[[Selection, Path], None]] = {
    "csv": _write_csv,
    "json": _write_json,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
    "sqlite": _write_sqlite,
}
