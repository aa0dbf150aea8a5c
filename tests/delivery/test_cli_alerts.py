"""The commands around alerts: the list, why, what was, silences, the rules, and the evaluator that stays."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from rich.cells import cell_len
from support.cli import HOSTILE
from support.processes import environment

from otel_metrics.testing import temporary_service

RULES = """
[[rule]]
name = "waiting"
kind = "queue_length"
threshold = 0
severity = "critical"
[[rule]]
name = "fast_drafts"
kind = "slow_stage"
stage = "ai_processing"
threshold = "1ms"
window = "24h"
"""


@pytest.fixture
def ruled(own_demo):
    """A demo's database with two rules beside it that fire, with the correction rate a third."""
    own_demo.with_name("metrics.rules.toml").write_text(RULES)
    return own_demo


def test_the_list_has_every_rule_that_fires(cli, ruled):
    """Without a subcommand it is as it was, with the further rules behind the contract's, in every format."""
    document = json.loads(cli("alerts", "--database", ruled, "--format", "json").output)
    assert [alert["type"] for alert in document] == ["high_correction_rate", "queue_length", "slow_stage"]
    assert document[2]["stage"] == "ai_processing"
    assert json.loads(cli("dashboard", "--database", ruled, "--format", "json").output)["alerts"] == document
    assert cli("alerts", "--database", ruled, "--format", "csv").lines[0].startswith("type,severity,message")
    assert "waiting: " in cli("alerts", "--database", ruled).output


def test_fail_on_does_not_count_what_is_silenced(cli, ruled):
    """Silence by silence the status stays 1, until all are silenced; ending one makes it 1 again."""
    for rule in ("high_correction_rate", "waiting", "fast_drafts"):
        assert cli("alerts", "--database", ruled, "--fail-on").status == 1
        result = cli("alerts", "silence", rule, "--for", "2h", "--reason", "known [bold]fault", "--database", ruled)
        assert (result.status, result.output.split(" until ")[0]) == (0, f"{rule} is silenced")
    assert cli("alerts", "--database", ruled, "--fail-on").status == 0
    assert "(silenced: known [bold]fault)" in " ".join(cli("alerts", "--database", ruled).output.split())
    assert "no longer" in cli("alerts", "unsilence", "waiting", "--database", ruled).output
    assert cli("alerts", "--database", ruled, "--fail-on").status == 1
    assert "was not silenced" in cli("alerts", "unsilence", "waiting", "--database", ruled).output


def test_a_silence_may_be_over_a_label(cli, ruled):
    """Only alerts that have it are silenced."""
    for value in ("other", "ai_processing"):
        cli(
            "alerts",
            "silence",
            "fast_drafts",
            "--for",
            "1h",
            "--reason",
            value,
            "--label",
            f"stage={value}",
            "--database",
            ruled,
        )
    alerts = json.loads(cli("alerts", "--database", ruled, "--format", "json").output)
    assert [alert.get("silence_reason") for alert in alerts] == [None, None, "ai_processing"]


def test_watch_tells_each_change_once(cli, ruled):
    """The first look tells what fires, one JSON object a line; the second nothing; history and explain know of it."""
    told = [json.loads(line) for line in cli("watch", "--once", "--format", "json", "--database", ruled).lines]
    assert {(one["before"], one["after"]) for one in told} == {("ok", "firing")}
    assert [one["rule"] for one in told] == ["high_correction_rate", "waiting", "fast_drafts"]
    assert cli("watch", "--once", "--format", "json", "--database", ruled).output == ""
    history = json.loads(cli("alerts", "history", "--database", ruled, "--format", "json").output)
    assert {row["state"] for row in history} == {"firing"}
    assert len(json.loads(cli("alerts", "history", "waiting", "--database", ruled, "--format", "json").output)) == 1
    explained = json.loads(cli("alerts", "explain", "waiting", "--database", ruled, "--format", "json").output)
    assert explained["readings"][0]["state"] == "firing"
    assert "Firing since" in cli("alerts", "explain", "waiting", "--database", ruled).output
    ruled.with_name("metrics.rules.toml").write_text(RULES.replace("threshold = 0", "threshold = 1000"))
    (line,) = cli("watch", "--once", "--database", ruled).lines
    assert "resolved  waiting" in line


def test_the_rules_are_listed_and_checked(cli, ruled):
    """With thresholds, and a mistake is one line with the file and the rule, status 2."""
    output = cli("alerts", "rules", "--database", ruled).output
    for text in ("slow_processing", "people_threshold 30m", "waiting", "is as it should be"):
        assert text in output
    assert [row["name"] for row in json.loads(cli("alerts", "rules", "--database", ruled, "--format", "json").output)][
        2:
    ] == ["waiting", "fast_drafts"]
    assert "slow_stage" in cli("alerts", "rules", "--database", ruled, "--format", "csv").output
    ruled.with_name("metrics.rules.toml").write_text(RULES + "speed = 5\n")
    for command in (("alerts", "rules"), ("alerts",), ("dashboard",), ("watch", "--once")):
        result = cli(*command, "--database", ruled)
        assert result.status == 2
        assert "rule fast_drafts has 'speed'" in result.notes
        assert result.notes.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("alerts", "explain", "nothing"), ("alerts", "silence", "nothing", "--for", "1h", "--reason", "x"),
        ("alerts", "silence", "waiting", "--for", "soon", "--reason", "x"), ("alerts", "silence", "waiting", "--for", "1h", "--reason", " "),
        ("alerts", "silence", "waiting", "--for", "1h", "--reason", "x", "--label", "stage"), ("alerts", "history", "--limit", "0"),
        ("watch", "--interval", "0"), ("watch", "--interval", "2d"), ("alerts", "nonsense"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_use_is_told(cli, ruled, arguments):
    """A rule that is not there, a time that is none: one line and status 2."""
    result = cli(*arguments, "--database", ruled) if arguments[1] != "nonsense" else cli(*arguments)
    assert (result.status, result.notes.count("\n")) == (2, 1)
    assert result.output == ""


def test_options_before_a_subcommand_are_not_lost(cli, ruled):
    """The database may stand before it; what would have no effect there is refused."""
    assert "waiting" in cli("alerts", "--database", ruled, "explain", "waiting").output
    result = cli("alerts", "--fail-on", "--database", ruled, "explain", "waiting")
    assert result.status == 2


@pytest.mark.parametrize(
    "command", [("explain", "slow_processing"), ("history",), ("unsilence", "slow_processing"), ("silence", "slow_processing", "--for", "1h", "--reason", "x")], ids=" ".join
)  # fmt: skip
def test_without_a_store_they_say_how_to_begin(cli, tmp_path, command):
    """Nothing is made, and the way to a store is shown."""
    result = cli("alerts", *command, "--database", tmp_path / "no.db")
    assert result.output.startswith("No store at")
    assert not (tmp_path / "no.db").exists()


@pytest.mark.parametrize("columns", [80, 120])
def test_nothing_is_wider_than_the_terminal_or_steers_it(cli, steering, columns):
    """Whatever stages and rules are called, no line is too long and no sign is sent that steers."""
    rules = steering.with_name("metrics.rules.toml")
    rules.write_text(
        f"{RULES}least = 1\n[[rule]]\nname = 'odd'\nkind = 'success_rate'\nby_stage = true\nleast = 1\nthreshold = 99\nwindow = '5w'\n"
        f"labels = {{ who = {json.dumps(HOSTILE, ensure_ascii=False)} }}\n"
    )
    try:
        cli("watch", "--once", "--database", steering)
        for command in (("alerts",), ("alerts", "rules"), ("alerts", "history"), ("alerts", "explain", "odd")):
            result = cli(*command, "--database", steering, columns=columns)
            assert result.status == 0, result.notes
            assert "\x1b" not in result.output and "\u202e" not in result.output
            shown = [line for line in result.lines if not line.endswith("is as it should be.")]
            assert [line for line in shown if cell_len(line) > columns] == []
    finally:
        rules.unlink()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_watch_stays_and_ends_cleanly(tmp_path, ending):
    """It sees what comes to fire while it runs, goes on over a broken file of rules, and ends with status 0 on a signal."""
    rules = tmp_path / "metrics.rules.toml"
    rules.write_text('[[rule]]\nname = "cpu"\nkind = "system_metric"\ntype = "cpu"\nabove = 80\n')
    with temporary_service(tmp_path) as service:
        service.record_system_metric("cpu", 10)
        service.flush()
        process = subprocess.Popen(
            [sys.executable, "-m", "otel_metrics", "watch", "--interval", "1s", "--format", "json"], cwd=tmp_path,
            env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 30
            while not _looked(tmp_path) and time.monotonic() < deadline:
                time.sleep(0.05)
            rules.write_text("[[rule\n")
            assert "the rules stay as they were" in process.stderr.readline()
            service.record_system_metric("cpu", 500)
            assert json.loads(process.stdout.readline())["rule"] == "cpu"
            process.send_signal(ending)
            output, notes = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, output) == (0, "")
    assert "Traceback" not in notes


def _looked(folder: os.PathLike) -> bool:
    from support.stores import rows

    try:
        return any(row["name"] == "alerts_looked_us" for row in rows(folder / "metrics.db", "counters"))
    except Exception:  # not made yet
        return False


def test_what_is_no_utf8_is_no_fault(cli, ruled):
    """Bytes on the command line that are no UTF-8 arrive as lone surrogates: they are taken as text or refused."""
    broken = "\ud800"
    silencing = ("silence", "waiting", "--for", "1h", "--reason", broken, "--label", f"a={broken}")
    for command in (("history", broken), ("explain", broken), ("unsilence", broken), silencing):
        result = cli("alerts", *command, "--database", ruled)
        assert result.status in {0, 2}
        assert "fault of otel_metrics" not in result.notes
