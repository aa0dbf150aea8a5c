"""Commands that do something: export writes files, prune deletes what is old, doctor looks."""

import json
import os
import sqlite3
from contextlib import closing

import duckdb
import pytest


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "parquet", "sqlite"])
def test_export_writes_every_row(cli, demo, tmp_path, form):
    """Each format holds as many rows as the table, and the command says how many."""
    result = cli("export", "sessions", "--format", form, "--output", f"out.{form}", "--database", demo)
    assert result.status == 0, result.notes
    assert result.output == f"60 rows of sessions in out.{form}\n"
    path = tmp_path / f"out.{form}"
    if form == "sqlite":
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (60,)
    elif form == "json":
        assert len(json.loads(path.read_text())) == 60
    elif form == "parquet":
        assert duckdb.connect().execute(f"SELECT count(*) FROM '{path}'").fetchall() == [(60,)]
    else:
        assert len(path.read_text().splitlines()) == 60 + (form == "csv")


def test_the_ending_tells_the_format(cli, demo, tmp_path):
    """Without --format the file's name decides."""
    assert cli("export", "logs", "--output", "logs.JSONL", "--database", demo).status == 0
    json.loads((tmp_path / "logs.JSONL").read_text().splitlines()[0])


def test_export_takes_a_period(cli, demo, tmp_path):
    """--since and --until choose rows by their time: ISO text and epoch seconds both."""
    times = json.loads(
        cli("sql", "SELECT started_at FROM sessions ORDER BY 1", "--database", demo, "--format", "json").output
    )
    middle = times[29]["started_at"]
    cli("export", "sessions", "--output", "late.csv", "--since", middle, "--database", demo)
    cli("export", "sessions", "--output", "early.csv", "--until", middle, "--database", demo)
    assert len((tmp_path / "late.csv").read_text().splitlines()) == 31
    assert len((tmp_path / "early.csv").read_text().splitlines()) == 31
    cli("export", "sessions", "--output", "all.csv", "--since", "1700000000.5", "--database", demo)
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 61


def test_export_never_replaces_the_store(cli, own_demo):
    """An output that is one of the store's own files, by whatever name, is refused and unharmed."""
    link = own_demo.parent / "innocent.db"
    os.link(own_demo, link)
    for name in (own_demo, own_demo.parent / "metrics.jsonl", own_demo.parent / "metrics.db.key", link):
        before = name.read_bytes()
        result = cli("export", "sessions", "--format", "sqlite", "--output", name, "--database", own_demo)
        assert result.status == 2
        assert "file of the store" in result.notes
        assert name.read_bytes() == before


def test_prune_keeps_what_is_young(cli, own_demo):
    """Within the retention time nothing goes, and the command says so."""
    result = cli("prune", "--database", own_demo)
    assert (result.status, result.output) == (0, "Nothing older than 30 days is there.\n")


def test_prune_deletes_what_is_old(cli, own_demo, monkeypatch):
    """Rows beyond METRICS_RETENTION_DAYS go; what is deleted is told by table, also as JSON."""
    monkeypatch.setenv("METRICS_RETENTION_DAYS", "0.2")
    counts = json.loads(cli("prune", "--database", own_demo, "--format", "json").output)
    assert counts["retention_days"] == 0.2
    assert counts["rows"]["sessions"] > 0
    left = json.loads(cli("sessions", "--database", own_demo, "--format", "json", "--limit", 100).output)
    assert len(left) == 60 - counts["rows"]["sessions"]


def test_doctor_is_content_with_a_sound_store(cli, demo):
    """A store that is fine gets status 0 and a list of what was looked at."""
    result = cli("doctor", "--database", demo)
    assert result.status == 0
    assert "✗" not in result.output
    assert "sound" in result.output


def test_doctor_finds_a_file_that_others_can_read(cli, own_demo):
    """Something that is wrong without being damage is status 1, with the remedy below."""
    own_demo.chmod(0o644)
    result = cli("doctor", "--database", own_demo, columns=160)
    assert result.status == 1
    assert "✗  file" in result.output
    assert f"→ chmod 600 {own_demo}" in result.output
    as_json = cli("doctor", "--database", own_demo, "--format", "json")
    assert as_json.status == 1
    assert [one["name"] for one in json.loads(as_json.output) if one["ok"] is False] == ["file"]
