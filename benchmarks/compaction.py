"""How fast rows move into segments, against DuckDB's own COPY of the same rows out of its memory; and how small they are there."""

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
from generator import generate, write_hot
from stores import settings_in

from otel_metrics.analytics.cold import quoted
from otel_metrics.analytics.columns import TABLES
from otel_metrics.analytics.compaction import Compacted, compact
from otel_metrics.analytics.hot import create_tables, load
from otel_metrics.store.database import reading
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.moving import TIME_OF
from otel_metrics.store.segments import listed
from otel_metrics.store.tables import MetricsStorage

STAGES = 1_000_000
DAYS = 2


def main() -> None:
    """Makes a store of hot rows, copies them by DuckDB alone, moves them, and prints the ratio of rows a second."""
    with tempfile.TemporaryDirectory() as name:
        settings = settings_in(Path(name))
        layout = StoreLayout(settings.database, settings.log_file)
        with closing(generate(STAGES, DAYS)) as made:
            write_hot(made, layout)
        rows, copy_s = _copy(layout, Path(name) / "copy")
        moved: list[Compacted | None] = []
        storage = MetricsStorage(layout, settings)
        move_s = _seconds(lambda: moved.append(compact(storage, settings, wait_s=10.0)))
        done = moved[0]
        assert done is not None
        assert sum(done.rows.values()) == rows
        stages = done.rows["processing_metrics"]
        print(f"DuckDB's COPY from memory: {rows / copy_s:,.0f} rows/s")
        print(f"compaction out of SQLite: {rows / move_s:,.0f} rows/s, {copy_s / move_s:.2f} of it")
        with reading(layout.database) as connection:
            size = sum(one.bytes for one in listed(connection) if one.table == "processing_metrics")
        print(f"{size / stages:.1f} bytes for a stage row, {done.segments} files")


def _copy(layout: StoreLayout, folder: Path) -> tuple[int, float]:
    """The yardstick: the same rows, already in DuckDB's memory, as Parquet sorted by time, one file for each table and day."""
    folder.mkdir()
    with closing(duckdb.connect()) as connection, reading(layout.database) as source:
        create_tables(connection)
        rows = sum(load(connection, source, TABLES[name]) for name in TIME_OF)
        seconds = _seconds(lambda: [_copy_table(connection, name, moment, folder) for name, moment in TIME_OF.items()])
    return rows, seconds


def _copy_table(connection: duckdb.DuckDBPyConnection, name: str, moment: str, folder: Path) -> None:
    for (day,) in connection.execute(f"SELECT DISTINCT CAST({moment} AS DATE) FROM hot.{name}").fetchall():
        connection.execute(
            f"COPY (FROM hot.{name} WHERE CAST({moment} AS DATE) = DATE '{day}' ORDER BY {moment}) "
            f"TO {quoted(folder / f'{name}-{day}.parquet')} (FORMAT parquet, COMPRESSION zstd)"
        )


def _seconds(run: Callable[[], object]) -> float:
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
