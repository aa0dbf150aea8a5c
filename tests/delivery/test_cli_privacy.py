"""Commands about copies and people: backup and forget."""

import json
import os
import sqlite3
from contextlib import closing

import pytest


def count(database, table, where="true", *values):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table} WHERE {where}", values).fetchone()[0]


def busiest(database, column, table):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(f"SELECT {column} FROM {table} GROUP BY 1 ORDER BY count(*) DESC").fetchone()[0]


def test_backup_says_what_it_made(cli, own_demo, tmp_path):
    """A backup ends with what it holds and where it and the key lie; as JSON too."""
    result = cli("backup", "copy.db", "--database", own_demo)
    assert result.status == 0, result.notes
    assert result.output.startswith("60 sessions, ")
    assert result.output.endswith(" MB in copy.db\nThe key of the id hashes in copy.db.key\n")
    assert count(tmp_path / "copy.db", "sessions") == 60
    made = json.loads(cli("backup", "copy.db", "--database", own_demo, "--format", "json").output)
    size = os.path.getsize(tmp_path / "copy.db")
    assert made == {
        "path": "copy.db",
        "size_bytes": size,
        "sessions": 60,
        "key": "copy.db.key",
        "segments": 0,
        "segments_bytes": 0,
    }


def test_backup_tells_of_a_key_that_is_a_setting(cli, own_demo, monkeypatch):
    """Where the key is a setting there is no file of it to copy, and the command says what to keep."""
    monkeypatch.setenv("METRICS_ID_KEY", "a secret of the bots")
    (own_demo.parent / "metrics.db.key").unlink()
    result = cli("backup", "copy.db", "--database", own_demo)
    assert result.output.endswith("METRICS_ID_KEY: keep it too.\n")


@pytest.mark.parametrize(
    ("path", "status", "found"),
    [
        ("metrics.db", 2, "is a file of the store"),
        ("none/copy.db", 2, "there is no folder"),
        ("notes.txt", 2, "no backup"),
    ],
)
def test_backup_refuses_what_it_must_not_replace(cli, own_demo, monkeypatch, path, status, found):
    """A wrong path is an error of usage, in one line, and nothing is replaced."""
    monkeypatch.chdir(own_demo.parent)
    own_demo.with_name("notes.txt").write_text("a letter")
    result = cli("backup", path, "--database", "metrics.db")
    assert result.status == status
    assert found in result.notes
    assert len(result.notes.splitlines()) == 1
    assert own_demo.with_name("notes.txt").read_text() == "a letter"


def test_backup_of_no_store_is_an_error(cli, tmp_path):
    """Without a store there is nothing to copy, and nothing is made."""
    result = cli("backup", "copy.db")
    assert result.status == 1
    assert "there is no store at metrics.db" in result.notes
    assert os.listdir(tmp_path) == []


def test_forget_tells_what_went_and_what_is_out_of_reach(cli, own_demo):
    """Rows by table, files, and where the person may still stand; a second run finds nothing."""
    user = busiest(own_demo, "user_id", "sessions")
    own = count(own_demo, "sessions", "user_id = ?", user)
    result = cli("forget", "--user", user, "--database", own_demo)
    assert result.status == 0, result.notes
    assert f"{own:>12,}  rows of sessions deleted" in result.lines
    assert f"{'':>12}  metrics.jsonl.000001 rewritten" in result.lines
    assert result.lines[result.lines.index("Out of reach:") + 1].startswith("  · backups")
    assert str(user) not in result.output
    assert count(own_demo, "sessions") == 60 - own
    again = cli("forget", "--user", user, "--database", own_demo)
    assert again.lines[:2] == ["Nothing of this id is there.", "Out of reach:"]


def test_forget_takes_moderators_out(cli, own_demo):
    """A moderator is nobody in the dashboard afterwards, and the figures are the same."""
    admin = busiest(own_demo, "admin_user_id", "correction_metrics")
    own_demo.with_name("metrics.db.damaged-1").write_bytes(b"x")
    before = json.loads(cli("dashboard", "--hours", 1e6, "--database", own_demo, "--format", "json").output)
    result = json.loads(cli("forget", "--user", admin, "--database", own_demo, "--format", "json").output)
    assert result["deleted"] == {}
    assert (
        result["scrubbed"]["correction_metrics"]
        == before["corrections"]["by_admin"][f"admin_{admin}"]["total_corrections"]
    )
    assert result["files_rewritten"] == ["metrics.jsonl.000001"]
    assert result["files_removed"] == ["metrics.db.damaged-1"]
    assert len(result["out_of_reach"]) == 4
    after = json.loads(cli("dashboard", "--hours", 1e6, "--database", own_demo, "--format", "json").output)
    assert f"admin_{admin}" not in after["corrections"]["by_admin"]
    assert after["corrections"]["by_type"] == before["corrections"]["by_type"]
    assert after["overview"] == before["overview"]


def test_forget_of_a_damaged_database_says_that_it_went(cli, own_demo):
    """A database that was set aside can not be rewritten; the output says that it is gone."""
    own_demo.with_name("metrics.db.damaged-1-wal").write_bytes(b"x")
    result = cli("forget", "--user", "U04ABCDEF99", "--database", own_demo)
    assert "metrics.db.damaged-1-wal removed: it is damaged and can not be rewritten" in result.output
    assert not own_demo.with_name("metrics.db.damaged-1-wal").exists()


def test_forget_of_a_negative_id(cli, own_demo):
    """The id of a group is a negative number, which is no option."""
    assert cli("forget", "--user", "-1002244668800", "--database", own_demo).status == 0


def test_forget_needs_somebody(cli, own_demo):
    """Without an id, or with the one that stands for none, forgetting is an error of usage."""
    assert cli("forget", "--database", own_demo).status == 2
    result = cli("forget", "--user", "0", "--database", own_demo)
    assert result.status == 2
    assert result.notes.startswith("error: 0 stands for no id")


def test_forget_without_a_store_does_nothing(cli, tmp_path):
    """Where nothing was recorded there is nobody to forget, and nothing is made."""
    result = cli("forget", "--user", "5")
    assert (result.status, result.output) == (0, "There is no store at metrics.db yet: nobody to forget.\n")
    assert os.listdir(tmp_path) == []
    assert json.loads(cli("forget", "--user", "5", "--format", "json").output)["deleted"] == {}
