"""How fast journal lines reach the tables, against raw `executemany` of the same rows into the same schema.

Then once more while the main thread computes without rest, which starves a background thread that asks for Python's
global lock at every row.
"""

import sqlite3
import statistics
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from stores import settings_in, write_stages

from otel_metrics.store.database import writing
from otel_metrics.store.drain import Drain
from otel_metrics.store.layout import StoreLayout

ROWS = 200_000
ROUNDS = 5


def main() -> None:
    """Prints rows a second of each way, and the ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = settings_in(folder)
        write_stages(settings, ROWS)
        layout = StoreLayout(settings.database, settings.log_file)
        ours_s, raw_s = [_drain(layout)], []
        rows = {table: _rows(layout.database, table) for table in ("processing_metrics", "sessions")}
        count = sum(map(len, rows.values()))
        for number in range(ROUNDS):
            raw_s.append(_executemany(folder / f"raw{number}.db", rows))
            layout.database.unlink()
            ours_s.append(_drain(layout))
        ours, raw = statistics.median(ours_s), statistics.median(raw_s)
        print(f"drain: {count / ours:,.0f} rows/s; executemany: {count / raw:,.0f} rows/s; ratio {raw / ours:.2f}")
        layout.database.unlink()
        print(f"drain beside a busy main thread: {count / _drain_beside_busy_thread(layout):,.0f} rows/s")


def _drain(layout: StoreLayout, *, polite: bool = False) -> float:
    before = time.perf_counter()
    report = Drain(layout, polite=polite).run()
    assert report.rejected == 0, report
    return time.perf_counter() - before


def _drain_beside_busy_thread(layout: StoreLayout) -> float:
    seconds: list[float] = []
    worker = threading.Thread(target=lambda: seconds.append(_drain(layout, polite=True)))
    worker.start()
    count = 0
    while worker.is_alive():
        count += 1
    return seconds[0]


def _rows(database: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY seq").fetchall()


def _executemany(database: Path, rows_of: dict[str, list[tuple[object, ...]]]) -> float:
    """The same rows, in transactions of 2,000, as plain Python tuples that somebody else has already parsed."""
    with writing(database) as connection:
        before = time.perf_counter()
        for table, rows in rows_of.items():
            marks = ", ".join("?" * len(rows[0]))
            for start in range(0, len(rows), 2_000):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[start : start + 2_000])
                connection.execute("COMMIT")
        return time.perf_counter() - before


if __name__ == "__main__":
    main()
