"""How commands end: the exit status, errors as one line, stores that are not there, damaged or newer."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
from support.cli import real
from support.processes import environment

from otel_metrics.store.tables import MetricsStorage

WRONG_USE = [
    ("dashbord",), ("--nope",), ("dashboard", "--hours", "soon"), ("dashboard", "--hours", "-1"), ("dashboard", "--hours", "nan"),
    ("dashboard", "--format", "xml"), ("dashboard", "--watch"), ("dashboard", "--watch", "--format", "json"), ("session",),
    ("session", "nobody"), ("session", ""), ("sessions", "--limit", "0"), ("sql",), ("sql", ""), ("sql", "SELEC 1"),
    ("sql", "SELECT 1; SELECT 2"), ("sql", "DROP VIEW sessions"), ("sql", "COPY (SELECT 1) TO 'x.csv'"), ("sql", "FROM nothing"),
    ("export", "sessions"), ("export", "nothing", "--output", "x.csv"), ("export", "sessions", "--output", "x.what"),
    ("export", "sessions", "--output", "no/folder/x.csv"), ("export", "sessions", "--output", "/dev/null", "--format", "csv"),
    ("export", "sessions", "--output", "x.csv", "--since", "whenever"), ("demo", "--sessions", "0"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG_USE, ids=lambda arguments: " ".join(arguments)[:40] or "nothing")
def test_wrong_use_is_one_line_and_status_2(cli, own_demo, arguments):
    """Whatever is wrong with what was typed, one line on standard error says so; nothing goes to standard output."""
    database = ("--database", own_demo) if not arguments[0].startswith("-") and arguments[0] != "dashbord" else ()
    result = cli(*arguments, *database)
    assert result.status == 2, result
    assert result.output == ""
    assert result.notes.startswith("error: ")
    assert result.notes.count("\n") == 1
    assert ";" in result.notes


def test_a_typo_is_named(cli):
    """A command that there is not is quoted, with the way to the list of those that there are."""
    notes = cli("dashbord").notes
    assert "no such command 'dashbord'" in notes
    assert "`otel-metrics --help`" in notes


@pytest.mark.parametrize(
    "arguments",
    [("dashboard",), ("alerts",), ("sessions",), ("session", "6"), ("queue",), ("sql", "SELECT 1"), ("prune",), ("demo",),
     ("export", "sessions", "--output", "x.csv"), ("doctor",)],
    ids=" ".join,
)  # fmt: skip
class TestStoresThatCanNotBeUsed:
    """A store that is damaged or too new, as every command meets it."""

    def test_a_damaged_store_is_status_3(self, cli, own_demo, arguments):
        """A database that is not one any more ends every command with status 3 and names the file."""
        own_demo.write_bytes(b"not a database at all" * 1000)
        result = cli(*arguments, "--database", own_demo)
        assert result.status == 3, result
        assert "metrics.db" in " ".join((result.notes + result.output).split())
        assert "Traceback" not in result.notes

    def test_a_newer_store_is_status_4(self, cli, own_demo, arguments):
        """A database whose schema is of a later version ends every command with status 4 and is not written to."""
        with closing(sqlite3.connect(own_demo)) as connection:
            connection.execute("PRAGMA user_version = 9999")
        before = own_demo.read_bytes()
        result = cli(*arguments, "--database", own_demo)
        assert result.status == 4, result
        assert "9999" in result.notes + result.output
        assert own_demo.read_bytes() == before


ABSENT = [
    (("dashboard",), dict), (("alerts",), list), (("sessions",), list), (("session", "abc"), dict), (("queue",), dict),
    (("sql", "FROM sessions"), list), (("prune",), dict), (("doctor",), list),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "shape"), ABSENT, ids=lambda value: value[0] if isinstance(value, tuple) else None
)
def test_asking_makes_no_store(cli, tmp_path, arguments, shape):
    """Where nothing was ever recorded there is one friendly line, the empty shape as JSON, status 0, and still no store."""
    result = cli(*arguments, "--database", "none.db")
    assert result.status == 0, result
    assert "none.db" in result.output + result.notes
    as_json = cli(*arguments, "--database", "none.db", "--format", "json")
    assert as_json.status == 0
    assert isinstance(json.loads(as_json.output), shape)
    assert list(tmp_path.iterdir()) == []


def test_an_absent_store_says_how_to_begin(cli):
    """The friendly line proposes the demo, on the store that was asked for."""
    assert cli("dashboard").output == "No store at metrics.db yet: `otel-metrics demo` makes one to look at.\n"
    assert "`otel-metrics demo --database 'my store.db'`" in cli("queue", "--database", "my store.db").output


def test_an_absent_store_has_a_dashboard_of_zeros(cli):
    """As JSON the dashboard of nothing has the shape of every dashboard."""
    document = json.loads(cli("dashboard", "--format", "json").output)
    assert document["overview"]["total_requests"] == 0
    assert document["processing_by_stage"] == {}
    assert document["alerts"] == []


def test_a_log_without_tables_is_a_store(cli, own_demo):
    """What a killed bot left in its log is moved into tables and shown, even if there are none yet."""
    for path in own_demo.parent.glob("metrics.db*"):
        path.unlink()
    document = json.loads(cli("dashboard", "--database", own_demo, "--format", "json").output)
    assert document["overview"]["total_requests"] == 60


def test_the_log_lies_beside_the_database(cli, own_demo, monkeypatch):
    """`--database x.db` goes with x.jsonl, unless METRICS_LOG_FILE says where the log is."""
    folder = own_demo.parent
    for path in folder.glob("metrics.db*"):
        path.unlink()
    (folder / "metrics.jsonl").rename(folder / "other.jsonl")
    assert cli("alerts", "--database", own_demo).output.startswith("No store")
    monkeypatch.setenv("METRICS_LOG_FILE", str(folder / "other.jsonl"))
    assert len(json.loads(cli("sessions", "--database", own_demo, "--format", "json", "--limit", 100).output)) == 60


def test_database_and_log_are_two_files(cli):
    """A database named like its log is refused before anything is opened."""
    result = cli("dashboard", "--database", "m.jsonl")
    assert result.status == 2
    assert "one file" in result.notes


def test_a_bad_environment_is_told(cli, monkeypatch):
    """A setting in the environment that can not be used is named, with what was expected."""
    monkeypatch.setenv("METRICS_RETENTION_DAYS", "soon")
    result = cli("dashboard")
    assert result.status == 2
    assert "METRICS_RETENTION_DAYS='soon'" in result.notes
    assert "expected a number of days" in result.notes


def test_a_switched_off_bot_can_be_read(cli, demo, monkeypatch):
    """ENABLE_METRICS=false stops recording, not reading."""
    monkeypatch.setenv("ENABLE_METRICS", "false")
    assert (
        json.loads(cli("dashboard", "--database", demo, "--format", "json").output)["overview"]["total_requests"] == 60
    )


def test_a_held_lock_is_told_and_read_past(cli, own_demo, monkeypatch):
    """While another process moves the log for long, the command goes on with what is there and says so."""
    monkeypatch.setattr("otel_metrics.delivery.cli.desk._WAIT_S", 0.05)
    with (own_demo.parent / "metrics.jsonl").open("a") as log:
        log.write("\n")  # something new, so that there is a reason to drain
    with (own_demo.parent / ".metrics.db.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = cli("dashboard", "--database", own_demo, "--format", "json")
    assert result.status == 0
    assert "another process is moving the log" in result.notes
    assert json.loads(result.output)["overview"]["total_requests"] == 60


def test_a_read_only_store_is_told_and_read(cli, demo, monkeypatch):
    """Where nothing can be written, the command says so and shows what the tables hold."""

    def refuse(self, timeout_s=0.0):
        raise PermissionError(13, "Permission denied", ".metrics.db.lock")

    monkeypatch.setattr(MetricsStorage, "drain", refuse)
    result = cli("dashboard", "--database", demo)
    assert result.status == 0
    assert "could not be moved into the tables (Permission denied)" in result.notes
    assert "Sessions" in result.output


def test_a_foreign_database_is_left_alone(cli, tmp_path):
    """Somebody else's SQLite file is named with its tables, and gets none of ours."""
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as connection, connection:
        connection.execute("CREATE TABLE invoices (id)")
    result = cli("dashboard", "--database", "theirs.db")
    assert result.status == 1
    assert "invoices" in result.notes
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("invoices",)]


def test_a_fault_of_ours_is_one_line(cli, demo, monkeypatch):
    """Even a defect of this program is no traceback, but one line that says how to get one."""

    def broken(self, hours=24):
        raise KeyError("nothing")

    monkeypatch.setattr("otel_metrics.analytics.answers.Answers.figures", broken)
    result = cli("dashboard", "--database", demo)
    assert result.status == 1
    assert result.notes.count("\n") == 1
    assert "KeyError" in result.notes and "-X dev" in result.notes


def test_fail_on_is_status_1(cli, demo, monkeypatch):
    """`alerts --fail-on` ends with 1 when something fires and with 0 when nothing does."""
    assert cli("alerts", "--database", demo, "--hours", "0.0001", "--fail-on").status == 0
    monkeypatch.setenv("METRICS_SLOW_STAGE_MS", "1")
    assert cli("alerts", "--database", demo, "--fail-on").status == 1
    assert cli("alerts", "--database", demo).status == 0


def test_a_closed_pipe_ends_quietly(demo_folder):
    """`otel-metrics … | head -1` ends as other tools do, without a word."""
    command = [sys.executable, "-m", "otel_metrics", "sql", "FROM range(300000)", "--format", "csv"]
    with subprocess.Popen(
        command, cwd=demo_folder, env=environment(demo_folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"range\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


def test_ctrl_c_ends_quietly(demo_folder):
    """An interrupted command says nothing and ends with 130."""
    command = [sys.executable, "-m", "otel_metrics", "sql", "-"]
    with subprocess.Popen(
        command, cwd=demo_folder, env=environment(demo_folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 30
        while b"pipe_read" not in _waits_for(process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == (b"", b"")
        assert process.returncode == 130


def _waits_for(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/wchan", "rb") as file:
            return file.read()
    except OSError:
        pytest.skip("this system does not tell what a process waits for")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("rows", [1, 300_000])
def test_a_full_disk_is_an_error(demo_folder, rows):
    """What can not be written is never passed over in silence, however it is cut into writes."""
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "otel_metrics", "sql", f"FROM range({rows})", "--format", "json"], cwd=demo_folder,
            env=environment(demo_folder), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert result.returncode == 1
    assert "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr


def test_help_is_quick_to_load(tmp_path):
    """`--help` loads neither DuckDB nor what asks it, and lists every command."""
    script = (
        "import sys\nfrom otel_metrics.delivery.cli.program import run\nstatus = run(['--help'])\n"
        "print(status, {'duckdb', 'otel_metrics.analytics'} & set(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.stderr == "0 set()\n"
    for command in ("demo", "dashboard", "alerts", "sessions", "session", "queue", "sql", "export", "prune", "doctor"):
        assert f" {command} " in result.stdout


def test_no_command_shows_the_help(cli):
    """Without a command there is the help and status 0."""
    result = cli()
    assert result.status == 0
    assert "dashboard" in result.output


def test_the_version_is_told(tmp_path):
    """`--version` says it and ends."""
    from otel_metrics import __version__

    result = real("--version", folder=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"otel-metrics {__version__}\n")
