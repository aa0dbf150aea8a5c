"""Looking into a store from outside: rows of its tables, lines of its log files."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from otel_metrics import MetricsService
from otel_metrics.store.layout import StoreLayout

Json = dict[str, Any]
_JSON_COLUMNS = {"metadata", "tags", "attributes", "events", "fields", "resource"}
SEED_TABLES = """
CREATE TABLE processing_metrics (metric_id TEXT PRIMARY KEY, session_id TEXT NOT NULL, user_id INTEGER NOT NULL,
    chat_id INTEGER NOT NULL, stage TEXT NOT NULL, start_time TEXT NOT NULL, end_time TEXT, duration_ms INTEGER,
    success BOOLEAN, error_message TEXT, metadata TEXT);
CREATE TABLE correction_metrics (correction_id TEXT PRIMARY KEY, session_id TEXT NOT NULL, admin_user_id INTEGER NOT NULL,
    message_id TEXT NOT NULL, correction_type TEXT NOT NULL, original_length INTEGER, corrected_length INTEGER,
    processing_time_ms INTEGER, voice_transcription_time_ms INTEGER, ai_correction_time_ms INTEGER,
    timestamp TEXT NOT NULL, admin_satisfaction INTEGER, retry_count INTEGER, metadata TEXT);
CREATE TABLE system_metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT NOT NULL, metric_type TEXT NOT NULL,
    value TEXT NOT NULL, tags TEXT, metadata TEXT);
"""
"""The tables of `services.metrics_service`, which a store of ours may take the place of."""


def rows(store: MetricsService | Path, table: str, where: str = "true", *values: object) -> list[Json]:
    """The rows of a table with JSON columns decoded; a service moves first what it has recorded."""
    if isinstance(store, MetricsService):
        store.flush()
        store = store.settings.database
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(f"SELECT * FROM {table} WHERE {where}", values).fetchall()
    return [{name: _value(name, row[name]) for name in row.keys()} for row in found]  # noqa: SIM118 - a Row iterates values


def only_row(store: MetricsService | Path, table: str, where: str = "true", *values: object) -> Json:
    """The one row there is."""
    (row,) = rows(store, table, where, *values)
    return row


def count(store: MetricsService | Path, table: str) -> int:
    """How many rows a table has."""
    if isinstance(store, MetricsService):
        store.flush()
        store = store.settings.database
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def lines(store: MetricsService | Path, kind: str | None = None) -> list[Json]:
    """The decoded lines of a log file, or of one kind; every line must be UTF-8 JSON and end."""
    path = store.settings.log_file if isinstance(store, MetricsService) else store
    data = path.read_bytes()
    assert data.endswith(b"\n")
    decoded = [json.loads(line.decode("utf-8"), parse_constant=_no_json) for line in data.split(b"\n")[:-1]]
    return [line for line in decoded if kind in (None, line["kind"])]


def layout_in(folder: Path) -> StoreLayout:
    """Where the files of a store lie that has the usual names."""
    return StoreLayout(folder / "metrics.db", folder / "metrics.jsonl")


def _value(name: str, value: Any) -> Any:
    return json.loads(value) if name in _JSON_COLUMNS and value is not None else value


def _no_json(constant: str) -> Any:
    raise AssertionError(f"{constant} is not JSON")
