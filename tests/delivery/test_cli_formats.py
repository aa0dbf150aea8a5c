"""What is printed for programs: one JSON document or CSV on standard output, and nothing else there."""

import csv
import io
import json
import re
from datetime import datetime

import pytest
from support.cli import HOSTILE, failed_session

JSON_COMMANDS = [
    ("dashboard",), ("alerts",), ("sessions",), ("queue",), ("sql", "FROM sessions"), ("prune",), ("doctor",),
]  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.mark.parametrize("command", JSON_COMMANDS, ids=" ".join)
@pytest.mark.parametrize("store", ["own_demo", "steering"])
def test_json_is_one_document(cli, store, command, request):
    """`--format json` prints one document that any reader takes, whatever users wrote, and no note beside it."""
    result = cli(*command, "--database", request.getfixturevalue(store), "--format", "json")
    assert result.status == 0, result.notes
    json.loads(result.output)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", result.output)


def test_json_keeps_texts_exactly(cli, steering):
    """A text that is defused for the eye is whole in JSON."""
    session = failed_session(cli, steering)
    assert session["metadata"]["name"] == HOSTILE
    answer = json.loads(cli("session", session["session_id"], "--database", steering, "--format", "json").output)
    assert HOSTILE in {span["error_message"] for span in answer["spans"]}


def test_times_are_iso_8601_in_utc(cli, demo):
    """Every time in JSON has the fixed width of the tables and ends in Z, in answers and in rows of SQL alike."""
    (session,) = json.loads(cli("sessions", "--database", demo, "--limit", 1, "--format", "json").output)
    query = f"SELECT started_at FROM sessions WHERE session_id = '{session['session_id']}'"
    (row,) = json.loads(cli("sql", query, "--database", demo, "--format", "json").output)
    (old,) = json.loads(
        cli("sql", "SELECT TIMESTAMP '1960-01-31 12:00:00.5' AS time", "--database", demo, "--format", "json").output
    )
    assert old["time"] == "1960-01-31T12:00:00.500000Z"
    assert TIME.fullmatch(session["started_at"])
    assert row["started_at"] == session["started_at"]


def test_a_session_as_json_has_everything(cli, demo):
    """One session's document has its facts, its trace id, its spans in drawing order, its corrections and its logs."""
    query = "SELECT session_id FROM correction_metrics WHERE correction_type = 'voice_correction' LIMIT 1"
    (row,) = json.loads(cli("sql", query, "--database", demo, "--format", "json").output)
    answer = json.loads(cli("session", row["session_id"][:20], "--database", demo, "--format", "json").output)
    assert answer["session"]["session_id"] == answer["trace_id"] == row["session_id"]
    assert [span["name"] for span in answer["spans"] if span["kind"] == "stage"][:2] == [
        "query_received",
        "ai_processing",
    ]
    assert "voice_correction" in {one["correction_type"] for one in answer["corrections"]}
    assert isinstance(answer["logs"], list)


ODD_VALUES = (
    "SELECT 170141183460469231731687303715884105727::HUGEINT AS huge, 'nan'::DOUBLE AS nan, 1.50::DECIMAL(9, 2) AS price, "
    "INTERVAL 90 SECONDS AS span, DATE '2026-01-31' AS day, [1, NULL] AS list, {'a': TIMESTAMP '2026-01-31 12:00:00'} AS struct, "
    "'\\xFF'::BLOB AS bytes, MAP {'k': 1} AS map, true AS flag, NULL AS nothing"
)


def test_every_kind_of_value_has_a_json_form(cli, demo):
    """Values that JSON does not know come as numbers or text; what is no number comes as null."""
    (row,) = json.loads(cli("sql", ODD_VALUES, "--database", demo, "--format", "json").output)
    assert row == {
        "huge": 170141183460469231731687303715884105727, "nan": None, "price": 1.5, "span": 90.0, "day": "2026-01-31",
        "list": [1, None], "struct": {"a": "2026-01-31T12:00:00.000000Z"}, "bytes": "ff", "map": {"k": 1}, "flag": True,
        "nothing": None,
    }  # fmt: skip
    assert cli("sql", ODD_VALUES, "--database", demo).status == 0
    assert cli("sql", ODD_VALUES, "--database", demo, "--format", "csv").status == 0


@pytest.mark.parametrize("command", ["sessions", "alerts", "queue"])
def test_csv_has_a_header_and_the_rows(cli, demo, command, monkeypatch):
    """The rows of a list are the same in CSV as in JSON."""
    monkeypatch.setenv("METRICS_SLOW_STAGE_MS", "1")
    rows = list(csv.DictReader(io.StringIO(cli(command, "--database", demo, "--format", "csv").output)))
    answer = json.loads(cli(command, "--database", demo, "--format", "json").output)
    if command == "queue":
        answer = answer["waiting"] + answer["running"]
    name = "message" if command == "alerts" else "session_id"
    assert [row[name] for row in rows] == [one[name] for one in answer]


def test_a_csv_cell_is_no_formula(cli, demo):
    """A text that a spreadsheet would run gets an apostrophe; a negative number does not."""
    query = "SELECT '=1+1' AS formula, '@x' AS at, -5 AS number, 'plain' AS text, '-2' AS looks"
    assert cli("sql", query, "--database", demo, "--format", "csv").lines == [
        "formula,at,number,text,looks",
        "'=1+1,'@x,-5,plain,'-2",
    ]


def test_sql_says_how_many_rows(cli, demo):
    """A table of rows ends with their number."""
    assert cli("sql", "SELECT 1 AS one", "--database", demo).output.split() == ["one", "1", "(1", "row)"]
    assert cli("sql", "FROM range(3)", "--database", demo).lines[-1] == "(3 rows)"
    assert cli("sql", "SELECT 1 AS one WHERE false", "--database", demo).output.split() == ["one", "(0", "rows)"]


def test_sql_shows_a_thousand_rows(cli, demo):
    """For the eye there are at most a thousand rows, and a note says how many there are; other formats have all."""
    result = cli("sql", "FROM range(1500)", "--database", demo)
    assert len(result.lines) == 1002
    assert "1,000 of 1,500 rows" in result.notes
    whole = cli("sql", "FROM range(1500)", "--database", demo, "--format", "csv")
    assert len(whole.lines) == 1501
    assert whole.notes == ""


def test_sql_reads_standard_input(cli, demo, monkeypatch):
    """`sql -` takes the query from standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 42 AS answer\n"))
    assert json.loads(cli("sql", "-", "--database", demo, "--format", "json").output) == [{"answer": 42}]


def test_numbers_are_never_cut(cli, demo):
    """Where the columns are too many, texts give way and figures stay; where even that is too little, a row is a block."""
    query = "SELECT repeat('x', 200) AS text, 123456789012 AS number, TIMESTAMP '2026-01-31 12:34:56' AS time"
    lines = cli("sql", query, "--database", demo).lines
    assert "123456789012  2026-01-31 12:34:56" in lines[1]
    assert "x…" in lines[1]
    blocks = cli("sql", "FROM processing_metrics LIMIT 2", "--database", demo).lines
    assert [line for line in blocks if line.startswith("row ")] == ["row 1", "row 2"]


def test_times_for_people_are_in_the_zone_of_the_settings(cli, demo, monkeypatch):
    """METRICS_TIMEZONE decides which clock a list shows, and the list says which it is."""
    monkeypatch.setenv("METRICS_TIMEZONE", "Asia/Kolkata")
    (session,) = json.loads(cli("sessions", "--database", demo, "--limit", 1, "--format", "json").output)
    utc = datetime.fromisoformat(session["started_at"])
    output = cli("sessions", "--database", demo, "--limit", 1, columns=160).output
    from zoneinfo import ZoneInfo

    assert "started (Asia/Kolkata)" in output
    assert utc.astimezone(ZoneInfo("Asia/Kolkata")).strftime("%m-%d %H:%M") in output
