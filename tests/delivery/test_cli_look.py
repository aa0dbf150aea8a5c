"""What is printed for people: within its width, without anything that steers a terminal, telling what the figures say."""

import json
import re

import pytest
from rich.cells import cell_len
from support.cli import Cli, failed_session, real

from otel_metrics.delivery.cli.bars import RUNNING, WAIT, WORK
from otel_metrics.model.vocabulary import ProcessingStage

ASKING = [
    ("dashboard",), ("alerts",), ("sessions",), ("queue",), ("doctor",), ("sql", "FROM sessions LIMIT 5"),
    ("sql", "FROM processing_metrics LIMIT 2"), ("sql", "SELECT session_id, stage, success, start_time FROM processing_metrics LIMIT 5"),
    ("sql", "FROM logs LIMIT 3"),
]  # fmt: skip


def session_like(cli: Cli, database, condition: str) -> str:
    query = f"SELECT session_id FROM sessions JOIN processing_metrics USING (session_id) WHERE {condition} LIMIT 1"
    return json.loads(cli("sql", query, "--database", database, "--format", "json").output)[0]["session_id"]


@pytest.mark.parametrize("columns", [80, 100, 160])
@pytest.mark.parametrize("store", ["demo", "steering"])
def test_nothing_is_wider_than_the_terminal(cli, store, columns, request):
    """At any width, whatever users wrote, no line is longer than that, and none has spaces at its end."""
    database = request.getfixturevalue(store)
    commands = [*ASKING, ("session", failed_session(cli, database)["session_id"])]
    for command in commands:
        result = cli(*command, "--database", database, columns=columns)
        assert result.status == 0, result.notes
        for line in result.lines:
            assert cell_len(line) <= columns, (command, line)
            assert line == line.rstrip(), (command, line)


@pytest.mark.parametrize("command", [*ASKING, ("session",)], ids=" ".join)
def test_hostile_texts_are_shown_and_do_nothing(cli, steering, command):
    """No control character, no direction mark and no markup of a user's text reaches the terminal as such."""
    if command == ("session",):
        command = ("session", failed_session(cli, steering)["session_id"])
    result = cli(*command, "--database", steering, columns=160)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", result.output)


def test_markup_stays_text(cli, steering):
    """What looks like markup of the drawing library is printed as it is."""
    assert "[red]x[/red]" in cli("dashboard", "--database", steering).output


def test_hostile_errors_stay_on_one_line(cli, steering):
    """A message that quotes what was typed can not break its line or steer the terminal either."""
    result = cli("session", "no\x1b[31m\nsuch", "--database", steering)
    assert result.status == 2
    assert result.notes.count("\n") == 1
    assert "\x1b" not in result.notes


def test_the_dashboard_tells_its_document(cli, demo):
    """Every stage stands in its usual order with its count, and the headline has the document's figures."""
    document = json.loads(cli("dashboard", "--database", demo, "--format", "json").output)
    lines = cli("dashboard", "--database", demo, columns=160).lines
    stages = [
        line.split()[:2] for line in lines if line.split()[:1] and line.split()[0] in document["processing_by_stage"]
    ]
    assert stages == [[name, f"{figures['count']:,}"] for name, figures in document["processing_by_stage"].items()]
    assert f"{document['corrections']['rate']:.1f}%" in "\n".join(lines)
    for kind, figures in document["corrections"]["by_type"].items():
        assert any(line.split()[:2] == [kind, str(figures["total_count"])] for line in lines)
    for admin in document["corrections"]["by_admin"]:
        assert admin.removeprefix("admin_") in "\n".join(lines)


def test_alerts_are_sentences(cli, demo, monkeypatch):
    """An alert says what is slow or often corrected, by how much, and where the limit is."""
    monkeypatch.setenv("METRICS_SLOW_STAGE_MS", "100")
    monkeypatch.setenv("METRICS_CORRECTION_RATE", "1")
    output = " ".join(cli("alerts", "--database", demo).output.split())
    assert re.search(r"▲ ai_processing is slow: [\d.]+s on average over \d+ stages, the limit is 100ms\.", output)
    assert re.search(
        r"▲ Moderators correct a lot: [\d.]+% of 60 sessions needed a correction, the limit is 1.0%\.", output
    )


def test_waiting_looks_different_without_colour(cli, demo):
    """The share of the moderation queue is drawn with another sign than the shares of work, and a legend names both."""
    lines = cli("dashboard", "--database", demo, columns=160).lines
    (queue,) = [line for line in lines if line.startswith("moderation_queue")]
    (review,) = [line for line in lines if line.startswith("admin_review")]
    assert WAIT in queue and WORK not in queue
    assert WORK in review and WAIT not in review
    assert any(f"{WORK} work {WAIT} wait" in line for line in lines)


@pytest.mark.parametrize("columns", [80, 160])
def test_every_span_of_a_waterfall_can_be_seen(cli, demo, columns):
    """However long the wait, each stage has at least one sign on the axis, and none begins before the one above ends."""
    session = session_like(cli, demo, "stage = 'user_delivery' AND success AND outcome = 'delivered'")
    lines = cli("session", session, "--database", demo, columns=columns).lines
    bars = [
        re.search(f"[{WORK}{WAIT}]+", line)
        for line in lines
        if line.split()[:1] and line.split()[0] in set(ProcessingStage)
    ]
    assert len(bars) >= 6
    assert all(bars)
    starts = [bar.start() for bar in bars if bar]
    assert starts == sorted(starts)


def test_a_failure_stands_out_without_colour(cli, demo):
    """A failed stage has a sign before its name and its error's type and reason below."""
    session = session_like(cli, demo, "NOT success AND error_type = 'TimeoutError'")
    output = cli("session", session, "--database", demo).output
    assert "✗ ai_processing" in output
    assert "TimeoutError: the model did not answer within 30 s" in output


def test_a_correction_is_marked_and_told(cli, demo):
    """Below the bars each correction has its mark, its type, who made it and how much was edited."""
    answer = cli("sql", "SELECT * FROM correction_metrics LIMIT 1", "--database", demo, "--format", "json")
    (row,) = json.loads(answer.output)
    lines = cli("session", row["session_id"], "--database", demo).lines
    assert any(line.startswith("corrections") and line.endswith("◆") for line in lines)
    told = next(line for line in lines if line.startswith("◆") and row["correction_type"] in line)
    assert str(row["admin_user_id"]) in told
    assert f"{row['word_edit_rate'] * 100:.1f}%" in told or "100%" in told


def test_a_wait_that_goes_on_is_drawn(cli, demo):
    """A draft that nobody has taken up ends with a wait that is still growing."""
    waiting = json.loads(cli("queue", "--database", demo, "--format", "json").output)["waiting"][0]["session_id"]
    output = cli("session", waiting, "--database", demo).output
    assert "→ waiting" in output
    assert re.search(f"moderation_queue +\\d+m\\d\\ds… +{WAIT}+", output)


def test_a_stage_that_has_not_ended_is_drawn(cli, demo):
    """A stage that is running, or whose process died, is drawn up to now with a sign of its own."""
    running = json.loads(cli("queue", "--database", demo, "--format", "json").output)["running"][0]
    output = cli("session", running["session_id"], "--database", demo).output
    assert "not ended" in output
    assert re.search(f"admin_review +[\\d.ms]+… +{RUNNING}+", output)
    assert "interrupted" in cli("queue", "--database", demo).output


def test_spans_inside_a_stage_hang_below_it(cli, demo):
    """A model call that was made inside a stage stands below that stage, indented by a branch."""
    session = session_like(cli, demo, "stage = 'ai_processing' AND success")
    lines = cli("session", session, "--database", demo).lines
    place = next(number for number, line in enumerate(lines) if line.startswith("ai_processing"))
    assert lines[place + 1].startswith("└ chat ")


def test_a_shown_id_can_be_used(cli, demo):
    """The short id of a list, with its three dots, is enough for `session`."""
    first = cli("sessions", "--database", demo, "--limit", 1).lines[1].split()[0]
    assert first.endswith("…")
    result = cli("session", first, "--database", demo)
    assert result.output.startswith(f"Session {first.rstrip('…')}")


def test_a_wide_terminal_gets_whole_ids(cli, demo):
    """At 160 columns no id is cut."""
    first = cli("sessions", "--database", demo, "--limit", 1, columns=160).lines[1].split()[0]
    assert re.fullmatch("[0-9a-f]{32}", first)


def test_other_encodings_get_plain_signs(demo_folder):
    """A terminal that knows no Unicode gets plain signs of the same width instead of an error."""
    result = real("dashboard", folder=demo_folder, PYTHONIOENCODING="ascii", COLUMNS="80")
    assert result.returncode == 0, result.stderr
    assert "+- Sessions -" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_quiet_window_says_so(cli, demo):
    """Where nothing was recorded in the window, the dashboard says how to look back further."""
    result = cli("dashboard", "--database", demo, "--hours", 0.0001)
    assert result.status == 0
    assert "Nothing was recorded in the last" in result.output
    assert "No sessions in the last" in cli("sessions", "--database", demo, "--hours", 0.0001).output
