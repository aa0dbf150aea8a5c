"""How fast the dashboard is answered: over cold rows, hot rows and new rows, each against a yardstick measured in the same run.

The yardsticks: the same questions in hand-written DuckDB SQL on the same Parquet files; SQLite's own SQL over the same rows;
the same day alone in a store; the first load. Run it with a number of stage rows (10,000,000 if none is given);
with `--by-section` it tells too how long each section of the document takes.
"""

import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb
from generator import generate, write_cold, write_hot
from stores import settings_in

from otel_metrics.analytics.answers import Answers
from otel_metrics.analytics.cold import quoted
from otel_metrics.analytics.dashboard import SECTIONS
from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

DAYS = 30
SMALL = 1_000_000
NEW = 1_000
HERE = Path(__file__).parent
MEMORY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from dashboard import answers_of
from stores import settings_in
answers_of(settings_in(Path(sys.argv[1]))).dashboard(24 * 30)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # maxrss would be the parent's
print(int(peak.split()[1]) // 1024)
"""


def main() -> None:
    """Makes the stores, asks, and prints each figure beside its yardstick."""
    numbers = [one for one in sys.argv[1:] if one != "--by-section"]
    stages = int(numbers[0]) if numbers else 10_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with closing(generate(stages, DAYS)) as made:
            large = _cold(made, folder / "large")
            made.execute("DELETE FROM made_processing_metrics WHERE end_time <= now()::TIMESTAMP - INTERVAL 24 HOUR")
            made.execute("DELETE FROM made_correction_metrics WHERE timestamp <= now()::TIMESTAMP - INTERVAL 24 HOUR")
            made.execute(
                "DELETE FROM made_sessions WHERE session_id NOT IN (SELECT session_id FROM made_processing_metrics)"
            )
            day = _cold(made, folder / "day")
        whole_s = _against_handwritten(large, stages)
        if "--by-section" in sys.argv:
            _by_section(large, whole_s)
        _a_day(large, day)
        _memory(large)
        with closing(generate(SMALL, 1)) as made:
            cold, hot = _cold(made, folder / "cold"), _hot(made, folder / "hot")
        _against_sqlite(cold, hot)
        _refresh(hot)


def answers_of(settings: Settings) -> Answers:
    """Answers over the store of these settings."""
    return Answers(MetricsStorage(StoreLayout(settings.database, settings.log_file), settings), settings)


def _against_handwritten(settings: Settings, stages: int) -> float:
    hours = 24 * DAYS
    ours = min(_seconds(lambda: _ask(settings, hours)) for _ in range(3))
    theirs = min(_seconds(lambda: _handwritten(settings, hours)) for _ in range(3))
    print(f"whole dashboard over {stages:,} cold stage rows: {ours:.2f} s, {ours / theirs:.2f} times hand-written SQL")
    return ours


def _by_section(settings: Settings, whole_s: float) -> None:
    """How long each part of the document takes alone; opening the store, which is in the whole, is not counted."""
    hours = 24 * DAYS
    with closing(answers_of(settings)) as answers:
        answers.refresh()
        for name in ("figures", *SECTIONS):
            ask: Callable[[float], object] = getattr(answers, name)
            seconds = min(_seconds(partial(ask, hours)) for _ in range(3))
            print(f"  {name}: {seconds:.2f} s, {seconds / whole_s:.0%} of the whole")


def _a_day(large: Settings, day: Settings) -> None:
    in_month = min(_seconds(lambda: _ask(large, 24)) for _ in range(3))
    alone = min(_seconds(lambda: _ask(day, 24)) for _ in range(3))
    print(f"24 hours in {DAYS} days: {in_month:.3f} s, {in_month / alone:.2f} times the same day alone")


def _memory(settings: Settings) -> None:
    command = [sys.executable, "-c", MEMORY, str(settings.database.parent), str(HERE)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    print(f"memory of the dashboard over all of them: {int(done.stdout)} MB")


def _against_sqlite(cold: Settings, hot: Settings) -> None:
    ours = min(_seconds(lambda: _ask_core(cold, 24)) for _ in range(3))
    theirs = min(_seconds(lambda: _ask_sqlite(hot.database)) for _ in range(2))
    print(
        f"the contract's figures over {SMALL:,} rows: {ours:.2f} s, {theirs / ours:.1f} times as fast as SQLite's own SQL"
    )


def _refresh(hot: Settings) -> None:
    with closing(answers_of(hot)) as answers:
        first = _seconds(lambda: answers.dashboard(24))
        _add(hot.database)
        following = _seconds(lambda: answers.dashboard(24))
        read_first = _seconds(lambda: _read(hot))
        _add(hot.database)
        read_next = _seconds(answers.refresh)
    print(f"refresh with {NEW:,} new rows: {read_next / read_first:.3f} of the first load of {SMALL:,} rows")
    print(f"dashboard after them: {following / first:.3f} of the first one")


def _read(settings: Settings) -> None:
    with closing(answers_of(settings)) as answers:
        answers.refresh()


def _ask(settings: Settings, hours: float) -> None:
    with closing(answers_of(settings)) as answers:
        answers.dashboard(hours)


def _ask_core(settings: Settings, hours: float) -> None:
    with closing(answers_of(settings)) as answers:
        answers.figures(hours)


def _handwritten(settings: Settings, hours: float) -> None:
    """The same questions as one would write them down for these files alone."""
    folder = StoreLayout(settings.database, settings.log_file).segments_folder
    until = datetime.fromisoformat(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()))
    with closing(duckdb.connect()) as connection:
        for table in ("processing_metrics", "correction_metrics", "sessions"):
            files = quoted(folder / f"{table}-*.parquet")
            more = ", metadata->>'$.text_hash' AS text_hash" if table == "processing_metrics" else ""
            connection.execute(
                f"CREATE VIEW {table} AS SELECT *{more} FROM read_parquet({files}, union_by_name = true)"
            )
        script = (HERE / "handwritten.sql").read_text(encoding="utf-8")
        period = {"since": until - timedelta(hours=hours), "until": until}
        for statement in connection.extract_statements(script):
            used = {name: value for name, value in period.items() if name in statement.named_parameters}
            connection.execute(statement, used).fetchall()


def _cold(made: duckdb.DuckDBPyConnection, folder: Path) -> Settings:
    folder.mkdir()
    settings = settings_in(folder)
    write_cold(made, StoreLayout(settings.database, settings.log_file))
    return settings


def _hot(made: duckdb.DuckDBPyConnection, folder: Path) -> Settings:
    folder.mkdir()
    settings = settings_in(folder)
    write_hot(made, StoreLayout(settings.database, settings.log_file))
    return settings


def _add(database: Path) -> None:
    """A thousand stages more: copies of those that are there, as new rows."""
    with closing(sqlite3.connect(database)) as connection, connection:
        (last,) = connection.execute("SELECT value FROM counters WHERE name = 'seq'").fetchone()
        names = [row[1] for row in connection.execute("PRAGMA table_info(processing_metrics)")][1:-1]
        columns = ", ".join(names)
        connection.execute(
            f"INSERT INTO processing_metrics (metric_id, {columns}, seq) "
            f"SELECT metric_id || ?, {columns}, ? + row_number() OVER () FROM processing_metrics LIMIT ?",
            (str(last), last, NEW),
        )
        connection.execute("UPDATE counters SET value = ? WHERE name = 'seq'", (last + NEW,))


def _ask_sqlite(database: Path) -> None:
    """The contract's figures in SQLite's words; it has no percentiles, so they are picked by rank."""
    now = time.time()
    period = {
        "since": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(now - 86400)),
        "until": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(now)),
    }
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for question in (HERE / "sqlite.sql").read_text(encoding="utf-8").split(";"):
            if question.strip():
                connection.execute(question, period).fetchall()


def _seconds(run: Callable[[], object]) -> float:
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
