"""`import` of OTLP JSON: spans of ours become what they were on their host, as far as OTLP tells, and each once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind
from support.cli import real
from support.otlp import HttpReceiver
from support.slim_collector import collector_into, otlp_line
from support.spans import play
from support.stores import count, rows

import otel_metrics
from otel_metrics.model.identity import new_session_id

Json = dict[str, Any]
KEY = "the same key on all hosts"
NOT_SENT = {"seq", "process", "user_id", "chat_id", "metadata", "root", "error_message"}
"""Columns that OTLP does not carry as they are: raw ids leave a host as hashes, an error's words not at all."""


def record(folder: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Plays on another host that sends to an endpoint; gives its folder."""
    place = folder / "b"
    place.mkdir()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=bot,host.name=host-b")
    monkeypatch.setenv("METRICS_ID_KEY", KEY)
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    service = otel_metrics.configure(database=place / "metrics.db", log_file=place / "metrics.jsonl")
    play()
    service.flush()
    service.shutdown()
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    return place


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """OTLP JSON of a host, made here; the host's own store is in the folder `b`."""
    with HttpReceiver() as receiver:
        record(tmp_path, receiver.endpoint, monkeypatch)
        file = tmp_path / "otlp.jsonl"
        file.write_bytes(b"".join(map(otlp_line, receiver.traces)))
        yield file


def imported(folder: Path, *files: Path) -> list[Json]:
    result = real("import", *files, "--format", "json", folder=folder, METRICS_ID_KEY=KEY)
    assert result.returncode == 0, result.stderr
    reports: list[Json] = json.loads(result.stdout)
    return reports


def told(folder: Path, table: str, key: str) -> dict[str, Json]:
    """The rows of a table by key, as far as OTLP tells."""
    return {
        row[key]: {name: value for name, value in row.items() if name not in NOT_SENT}
        for row in rows(folder / "metrics.db", table)
    }


def same_as_recorded(folder: Path) -> None:
    for table, key in (("processing_metrics", "metric_id"), ("spans", "record_id"), ("sessions", "session_id")):
        here, there = told(folder, table, key), told(folder / "b", table, key)
        if table == "sessions":  # one was begun and nothing else, of which no span tells
            there = {one: row for one, row in there.items() if row["ended_at"]}
        assert here == there, table


def test_lines_become_the_rows_that_their_host_has(lines: Path, tmp_path: Path) -> None:
    """Stages, spans and sessions are the host's own in everything that OTLP carries; a correction has its figures."""
    (report,) = imported(tmp_path, lines)
    assert (report["stored"], report["skipped"]) == (6, {"no_session": 1})
    same_as_recorded(tmp_path)
    (here,), (there,) = (rows(one / "metrics.db", "correction_metrics") for one in (tmp_path, tmp_path / "b"))
    for name in (
        "correction_id",
        "session_id",
        "correction_type",
        "timestamp",
        "original_length",
        "word_edit_rate",
        "similarity",
    ):
        assert here[name] == there[name]
    assert (here["message_id"], here["processing_time_ms"]) == ("", None)


def test_collector_of_the_repository_writes_such_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the real collector's file exporter writes is imported whole, while it is written and afterwards."""
    file = tmp_path / "collected.jsonl"
    with collector_into(file) as endpoint:
        record(tmp_path, endpoint, monkeypatch)
    (report,) = imported(tmp_path, file)
    assert (report["kind"], report["stored"]) == ("otlp", 6)
    (again,) = imported(tmp_path, file)
    assert (again["stored"], again["known"]) == (0, 0)
    same_as_recorded(tmp_path)


@pytest.mark.parametrize("journal_first", [False, True])
def test_journal_and_otlp_of_one_host_are_each_span_once(journal_first: bool, lines: Path, tmp_path: Path) -> None:
    """Both ways of the same spans give them once, in whichever order; the journal's own words of a session count."""
    journal = tmp_path / "b" / "metrics.jsonl"
    first, second = (journal, lines) if journal_first else (lines, journal)
    imported(tmp_path, first)
    imported(tmp_path, second)
    for table in ("processing_metrics", "spans", "correction_metrics", "sessions"):
        assert count(tmp_path / "metrics.db", table) == count(tmp_path / "b" / "metrics.db", table), table
    (session,) = rows(tmp_path / "metrics.db", "sessions", "outcome = 'failed'")
    assert (session["user_id"], session["chat_id"]) == (71, -100_200)


def test_people_stay_hashes_and_are_told_apart(lines: Path, tmp_path: Path) -> None:
    """A user is known by the hash that left the host: the same number for all sessions, the hash in the metadata."""
    imported(tmp_path, lines)
    (session,) = rows(tmp_path / "metrics.db", "sessions")
    stages = rows(tmp_path / "metrics.db", "processing_metrics")
    assert {stage["user_id"] for stage in stages} == {session["user_id"]}
    assert session["metadata"]["user_id"].startswith("#")
    result = real("forget", "--user", session["metadata"]["user_id"], folder=tmp_path, METRICS_ID_KEY=KEY)
    assert result.returncode == 0, result.stderr
    assert count(tmp_path / "metrics.db", "processing_metrics") == 0


def test_forgotten_person_does_not_come_back_by_otlp(lines: Path, tmp_path: Path) -> None:
    """Where hosts share the key, who was forgotten is known by the hash, and all spans of the session stay away."""
    otel_metrics.configure(database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl").shutdown()
    assert real("forget", "--user", 71, folder=tmp_path, METRICS_ID_KEY=KEY).returncode == 0
    (report,) = imported(tmp_path, lines)
    assert (report["stored"], report["skipped"]) == (0, {"forgotten": 6, "no_session": 1})


def test_foreign_spans_go_where_they_go_today(tmp_path: Path) -> None:
    """A model call of a session is kept without its texts, a span of no session is not, and lines of metrics are none."""
    session = new_session_id(1_700_000_000_000_000_000)
    span = {
        "traceId": "0" * 31 + "7", "spanId": "0" * 15 + "9", "name": "chat m", "kind": 3, "startTimeUnixNano": "1700000000000001000",
        "endTimeUnixNano": "1700000001000000000", "status": {"code": 2},
        "attributes": [
            {"key": "session.id", "value": {"stringValue": session}},
            {"key": "gen_ai.input.messages", "value": {"stringValue": "secret words"}},
            {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}},
            {"key": "odd", "value": {"doubleValue": "NaN"}},
            {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"boolValue": True}]}}},
        ],
    }  # fmt: skip
    alone = {**span, "spanId": "0" * 15 + "a", "attributes": []}
    scopes = [{"scope": {"name": "openai", "version": "3"}, "spans": [span, alone]}]
    file = tmp_path / "x.jsonl"
    file.write_text(
        json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": scopes}]}) + '\n{"resourceMetrics":[]}\nno json\n'
    )
    (report,) = imported(tmp_path, file)
    assert (report["stored"], report["skipped"]) == (1, {"no_session": 1, "unreadable": 1})
    (row,) = rows(tmp_path / "metrics.db", "spans")
    assert row["span_kind"] == SpanKind.CLIENT.name.lower()
    assert (row["scope"], row["scope_version"], row["success"], row["duration_ms"]) == ("openai", "3", 0, 1000)
    assert row["attributes"] == {"gen_ai.usage.input_tokens": 12, "odd": "nan", "list": [1, True]}
