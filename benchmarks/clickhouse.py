"""How fast the dashboard is answered by ClickHouse, against hand-written ClickHouse SQL over the same rows in the same run.

ClickHouse runs in the process (chdb) behind a few lines of HTTP, so that the package's own engine and client ask it. Run it
with a number of stage rows (10,000,000 if none is given); the rows are those of `generator.py`, as the collector's exporter
would have inserted them. The yardstick is `handwritten_clickhouse.sql`; its first statements are the contract's figures.
"""

import re
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import duckdb
from generator import generate

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from support.clickhouse_server import ClickHouseServer  # noqa: E402 - the tests' own server

from otel_metrics.analytics.clickhouse.dialect import said  # noqa: E402
from otel_metrics.analytics.clickhouse.engine import SETTINGS, ClickHouseEngine  # noqa: E402
from otel_metrics.analytics.dashboard import SECTIONS, build_dashboard, build_figures  # noqa: E402
from otel_metrics.analytics.window import Window, last_hours  # noqa: E402
from otel_metrics.settings import Settings  # noqa: E402

DAYS = 30
_HASH = "lower(printf('%016x', hash({0})))"
_STAGES = f"""
SELECT
    epoch_us(p.start_time) AS start_us, (epoch_us(p.end_time) - epoch_us(p.start_time))::UBIGINT AS took_us, p.session_id, p.span_id,
    p.parent_span_id, p.stage, p.success, p.error_type, {_HASH.format("p.user_id")} AS user_hash,
    CASE WHEN p.stage = 'admin_review' THEN {_HASH.format("p.metadata->>'$.admin_user_id'")} END AS moderator_hash, p.metadata,
    c.correction_id, epoch_us(c.timestamp) AS corrected_us, c.correction_type, c.word_edit_rate, c.similarity, c.original_length,
    c.corrected_length, c.processing_time_ms, c.admin_satisfaction, c.original_hash, c.corrected_hash,
    c.metadata->>'$.prompt' AS prompt, c.metadata->>'$.intent' AS intent
FROM made_processing_metrics AS p
LEFT JOIN made_correction_metrics AS c ON c.session_id = p.session_id AND p.stage = 'admin_review'
"""
_SESSIONS = f"""
SELECT
    epoch_us(started_at) AS start_us, (epoch_us(ended_at) - epoch_us(started_at))::UBIGINT AS took_us, session_id,
    left(md5('r' || session_id), 16) AS span_id, {_HASH.format("user_id")} AS user_hash, outcome, metadata->>'$.intent' AS intent
FROM made_sessions
"""


def main() -> None:
    """Makes the rows, inserts them, asks both, and prints each figure beside its yardstick."""
    numbers = [one for one in sys.argv[1:] if one != "--by-section"]
    stages = int(numbers[0]) if numbers else 10_000_000
    with tempfile.TemporaryDirectory() as name, ClickHouseServer() as server:
        folder = Path(name)
        with closing(generate(stages, DAYS)) as made:
            _write(made, folder)
        with closing(ClickHouseEngine(server.url)) as engine:
            engine.prepare(10 * 365.0)
            _insert(server, folder)
            window = last_hours(24 * DAYS, time.time_ns())
            _compare(engine, window, stages)
            if "--by-section" in sys.argv:
                for section, ask in SECTIONS.items():
                    engine.refresh()
                    print(f"  {section}: {_seconds(partial(ask, engine, window, Settings())):.2f} s")


def _compare(engine: ClickHouseEngine, window: Window, stages: int) -> None:
    contract, whole = _handwritten()
    for what, ask, statements in (
        ("the contract's figures", lambda: build_figures(engine, window), contract),
        ("the whole dashboard", lambda: build_dashboard(engine, Settings(), window), whole),
    ):
        ours = min(_seconds(partial(_anew, engine, ask)) for _ in range(3))
        theirs = min(_seconds(partial(_run, engine, statements, window)) for _ in range(3))
        print(
            f"{what} over {stages:,} stage rows: {ours:.2f} s, {ours / theirs:.2f} times hand-written SQL ({theirs:.2f} s)"
        )


def _anew(engine: ClickHouseEngine, ask: Callable[[], object]) -> None:
    """Without the tables that an earlier question has drawn."""
    engine.refresh()
    ask()


def _handwritten() -> tuple[list[str], list[str]]:
    """The statements of the contract's figures, and all of them."""
    script = (HERE / "handwritten_clickhouse.sql").read_text(encoding="utf-8")
    contract, rest = map(_statements, script.split("-- Beyond the contract: the sections of the single subjects.", 1))
    return contract, contract + rest


def _statements(script: str) -> list[str]:
    return [one for one in re.sub(r"--.*", "", script).split(";") if one.strip()]


def _run(engine: ClickHouseEngine, statements: list[str], window: Window) -> None:
    client = engine._client()
    for statement in statements:
        text, bound = said(statement, window.parameters())
        if "CREATE" in text:
            client.command(text, bound, settings=SETTINGS)
        else:
            client.query(text, bound, settings=SETTINGS)


def _write(made: duckdb.DuckDBPyConnection, folder: Path) -> None:
    made.execute(f"COPY ({_STAGES}) TO '{folder}/stages.parquet' (FORMAT parquet)")
    made.execute(f"COPY ({_SESSIONS}) TO '{folder}/sessions.parquet' (FORMAT parquet)")


def _insert(server: ClickHouseServer, folder: Path) -> None:
    script = (HERE / "clickhouse_rows.sql").read_text(encoding="utf-8")
    for statement in _statements(script):
        server.query(
            statement.replace("{stages}", f"{folder}/stages.parquet").replace(
                "{sessions}", f"{folder}/sessions.parquet"
            )
        )
    for table in ("otel_traces", "hitl_corrections", "hitl_sessions"):
        server.query(f"OPTIMIZE TABLE {table} FINAL")  # as background merges leave it


def _seconds(run: Callable[[], object]) -> float:
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
