"""How fast the dashboard's questions are answered over a million stage rows, against SQLite's own SQL on the same file.

Two figures: the first answer of a fresh process, which brings the rows over first, and the next answer of one that
lives on (a live page, a watching terminal, a bot that asks itself), which fetches only what is new.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from stores import settings_in, write_stages

from otel_metrics.analytics.answers import Answers
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

ROWS = 1_000_000
HOURS = 24.0

# The dashboard's stage, overview and rate questions in SQLite's words; it has no percentiles, so they are picked by rank.
SQLITE_QUESTIONS = (
    """
    WITH stages AS (
        SELECT stage, success, (julianday(end_time) - julianday(start_time)) * 86400000.0 AS ms
        FROM processing_metrics WHERE end_time > :since AND end_time <= :until
    ),
    ranked AS (
        SELECT stage, success, ms, row_number() OVER (PARTITION BY stage ORDER BY ms) AS place,
            count(*) OVER (PARTITION BY stage) AS n
        FROM stages
    )
    SELECT stage, count(*), avg(ms), max(ms) FILTER (WHERE place <= 0.50 * n), max(ms) FILTER (WHERE place <= 0.95 * n),
        max(ms) FILTER (WHERE place <= 0.99 * n), 100.0 * sum(success) / count(*)
    FROM ranked GROUP BY stage
    """,
    """
    SELECT count(*), avg(ms) FROM (
        SELECT session_id, (julianday(max(end_time)) - julianday(min(start_time))) * 86400000.0 AS ms
        FROM processing_metrics
        WHERE session_id IN (
            SELECT session_id FROM processing_metrics WHERE end_time > :since AND end_time <= :until
        )
        GROUP BY session_id
    )
    """,
    """
    SELECT count(*) FROM (
        SELECT session_id FROM processing_metrics WHERE end_time > :since AND end_time <= :until
        UNION
        SELECT session_id FROM correction_metrics WHERE timestamp > :since AND timestamp <= :until
    )
    """,
)


def main() -> None:
    """Makes the store, asks it all three ways and prints the factors."""
    with tempfile.TemporaryDirectory() as name:
        settings = settings_in(Path(name))
        write_stages(settings, ROWS, hours=HOURS)
        storage = MetricsStorage(StoreLayout(settings.database, settings.log_file), settings)
        storage.drain()
        sqlite_s = min(_seconds(lambda: _ask_sqlite(settings.database)) for _ in range(2))
        answers = Answers(storage, settings)
        first_s = _seconds(lambda: answers.dashboard(HOURS))
        next_s = min(_seconds(lambda: answers.dashboard(HOURS)) for _ in range(3))
        print(f"SQLite's own SQL over {ROWS:,} stage rows: {sqlite_s:.2f} s")
        print(f"first answer: {first_s:.2f} s, {sqlite_s / first_s:.1f} times as fast")
        print(f"next answer: {next_s:.3f} s, {sqlite_s / next_s:.1f} times as fast")


def _ask_sqlite(database: Path) -> None:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        now = time.time()
        period = {
            "since": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(now - HOURS * 3600)),
            "until": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(now)),
        }
        for question in SQLITE_QUESTIONS:
            connection.execute(question, period).fetchall()


def _seconds(run: Callable[[], object]) -> float:
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
