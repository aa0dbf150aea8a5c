"""Owns the process in which one query of the page runs: it takes limits on itself first, answers as JSON and ends."""

import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_metrics.analytics.engine import Engine, Memory
from otel_metrics.analytics.freesql import run_query
from otel_metrics.delivery.cli.query import cell_text
from otel_metrics.errors import OtelMetricsError
from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

if TYPE_CHECKING:
    from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine

_MOST_CELL = 2000
_MOST_ANSWER = 3_000_000


def main() -> None:
    """Reads the wish from standard input and writes the answer to standard output."""
    wish = json.load(sys.stdin)
    try:
        answer = _answer(wish)
    except OtelMetricsError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": "the query needs more memory than it may have; ask for less, or use `otel-metrics sql`"}
    json.dump(answer, sys.stdout)


def _answer(wish: dict[str, Any]) -> dict[str, Any]:
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, wish["cpu_s"])
    _limit(resource.RLIMIT_AS, wish["address_bytes"])
    settings = Settings(database=Path(wish["database"]), log_file=Path(wish["log_file"]))
    engine = _engine(settings, wish)
    engine.refresh()
    _limit(resource.RLIMIT_FSIZE, 0)  # from here on nothing can be written, whatever the query finds a way to
    most: int = wish["rows"]
    found = run_query(engine, wish["query"], most + 1)
    numbers = [all(_is_number(row[place]) for row in found.rows) for place in range(len(found.columns))]
    rows, room = [], _MOST_ANSWER
    for row in found.rows[:most]:
        cells = [_cut(cell_text(value)) for value in row]
        room -= sum(map(len, cells))
        if room < 0:
            break
        rows.append(cells)
    return {"columns": found.columns, "numbers": numbers, "rows": rows, "more": len(found.rows) > len(rows)}


def _engine(settings: Settings, wish: dict[str, Any]) -> "Engine | ClickHouseEngine":
    if wish["backend"]:
        from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine

        return ClickHouseEngine(wish["backend"])
    storage = MetricsStorage(StoreLayout(settings.database, settings.log_file), settings)
    return Engine(storage, Memory(wish["memory_bytes"], spills=False))


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CELL else f"{text[: _MOST_CELL - 1]}…"


if __name__ == "__main__":
    main()
