"""Taking a table elsewhere: every format holds the same rows."""

import csv
import json
import sqlite3
import stat
from contextlib import closing

import duckdb
import pytest
from support.generated import NOW_NS, Correction, Stage, StoppedClock, make_store

from otel_metrics.analytics.answers import Answers
from otel_metrics.errors import QueryError
from otel_metrics.model.times import iso

NOW_US = NOW_NS // 1000
FACTS = [
    Stage(n, "=cmd()" if n == 3 else "ai_processing", NOW_US - n * 1_000_000, 500_250, n % 2 == 0) for n in range(1, 21)
]


@pytest.fixture
def answers(tmp_path):
    storage, chosen = make_store(tmp_path, FACTS, [Correction(1, "rejection", 9, NOW_US, None, 3)])
    return Answers(storage, chosen, StoppedClock())


def read(path, form, table):
    """The rows of an exported file: key, session, stage, start as text."""
    if form == "csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [
                (row["metric_id"], row["session_id"], row["stage"].lstrip("'"), row["start_time"])
                for row in csv.DictReader(file)
            ]
    if form in {"json", "jsonl"}:
        text = path.read_text(encoding="utf-8")
        rows = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
        assert all(row["metadata"] == {} for row in rows)
        return [(row["metric_id"], row["session_id"], row["stage"], row["start_time"]) for row in rows]
    columns = "metric_id, session_id, stage, start_time"
    if form == "sqlite":
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(f"SELECT {columns} FROM {table}").fetchall()
    with closing(duckdb.connect()) as connection:
        text = "strftime(start_time, '%Y-%m-%dT%H:%M:%S.%fZ')"
        return connection.execute(f"SELECT metric_id, session_id, stage, {text} FROM '{path}'").fetchall()


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet", "sqlite"])
def test_every_format_holds_the_same_rows(answers, tmp_path, form):
    """All rows, in order of time, with times to the microsecond; the file is private."""
    path = tmp_path / f"out.{form}"
    assert answers.export("processing_metrics", path, form) == len(FACTS)
    expected = sorted((iso(one.end_us * 1000), f"s{one.session}", one.stage, iso(one.start_us * 1000)) for one in FACTS)
    found = read(path, form, "processing_metrics")
    assert [row[1:] for row in found] == [row[1:] for row in expected]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_period_is_exported(answers, tmp_path):
    """`since` is out, `until` is in, and both may be any form of time."""
    ends = sorted(one.end_us for one in FACTS)
    count = answers.export("processing_metrics", tmp_path / "x.csv", "csv", ends[4] / 1e6, iso(ends[9] * 1000))
    assert count == 5


def test_a_spreadsheet_gets_no_formula(answers, tmp_path):
    """A CSV text that begins like a formula gets an apostrophe; numbers do not."""
    answers.export("processing_metrics", tmp_path / "x.csv", "csv")
    text = (tmp_path / "x.csv").read_text(encoding="utf-8")
    assert "'=cmd()" in text
    assert ",=cmd()" not in text


def test_an_empty_table_is_an_empty_file_of_its_format(answers, tmp_path):
    """No rows: a CSV header, an empty JSON list, no JSONL line, a Parquet file without rows."""
    assert answers.export("logs", tmp_path / "x.json", "json") == 0
    assert json.loads((tmp_path / "x.json").read_text()) == []
    assert answers.export("logs", tmp_path / "x.jsonl", "jsonl") == 0
    assert (tmp_path / "x.jsonl").read_bytes() == b""
    assert answers.export("logs", tmp_path / "x.parquet", "parquet") == 0
    assert answers.export("logs", tmp_path / "x.csv", "csv") == 0
    assert (tmp_path / "x.csv").read_text().startswith("id,timestamp,level")


@pytest.mark.parametrize(
    ("table", "path", "form", "since"),
    [("no", "x", "csv", None), ("logs", "x", "xml", None), ("logs", "no/x", "csv", None), ("logs", "x", "csv", "soon")],
)  # fmt: skip
def test_what_can_not_be_exported_is_said(answers, tmp_path, table, path, form, since):
    """An unknown table or format, a missing folder and an unreadable time are refused, and no file is left."""
    with pytest.raises(QueryError):
        answers.export(table, tmp_path / path, form, since)
    assert {file.name for file in tmp_path.iterdir() if "metrics." not in file.name} == set()
