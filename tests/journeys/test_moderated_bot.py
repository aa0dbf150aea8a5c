"""The whole way, end to end: two real bots in two processes, one store, and every figure worked out a second time."""

import json
import os
import shlex
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path
from statistics import fmean

import pytest
from played_journey import ROOT, Journey
from support.gateway import wait_for

from examples.moderated_bot.moderator_bot import TOO_LATE
from examples.moderated_bot.people import Case
from examples.moderated_bot.user_bot import SORRY

WAITS = ("moderation_queue", "admin_review")
ASKED = ["query_received", "ai_processing"]
STAGES = {
    "approve": [*ASKED, *WAITS, "final_response", "user_delivery"],
    "text": [*ASKED, *WAITS, "correction_processing", "final_response", "user_delivery"],
    "voice": [*ASKED, *WAITS, "correction_processing", "correction_ai", "final_response", "user_delivery"],
    "reject": [*ASKED, *WAITS],
}
TYPES = {
    ("text", ""): "text_correction",
    ("text", "#content"): "content_modification",
    ("text", "#style"): "style_improvement",
    ("text", "#factual"): "factual_correction",
    ("voice", ""): "voice_correction",
    ("reject", ""): "rejection",
}
# The bots' stopwatch runs inside the timer's. Between the two lie an enter and an exit, a tenth of a millisecond in
# the usual case; a busy machine may put a switch of threads there, which shows in the slowest values first.
TYPICAL_TOLERANCE_MS = 5.0
EXTREME_TOLERANCE_MS = 25.0


def outcome(case: Case) -> str:
    """How a session must have ended."""
    if case.verdict == "reject":
        return "rejected"
    return "failed" if case.blocks or case.draft is None else "delivered"


def quantile(values: list[float], q: float) -> float:
    """The interpolated quantile."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * q
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def durations_ms(journey: Journey) -> dict[str, list[float]]:
    """How long each stage took each time, by the bots' own notes."""
    durations = defaultdict(list)
    for note in journey.noted("stage"):
        durations[note["stage"]].append((note["ended"] - note["started"]) * 1000)
    return durations


def test_every_message_is_a_session_that_ended_as_it_did(journey: Journey) -> None:
    """Each message is one session, and its outcome is what became of it."""
    expected = {session: outcome(case) for session, case in journey.sessions.items()}
    rows = journey.rows("SELECT session_id, outcome FROM sessions")
    assert {row["session_id"]: row["outcome"] for row in rows} == expected
    assert len(rows) == len(journey.cases)


def test_stages_of_both_processes_stand_in_order(journey: Journey) -> None:
    """Each session has the stages that its verdict brings, in order, and each stage says which process wrote it."""
    rows = journey.rows("SELECT session_id, stage, process FROM processing_metrics ORDER BY start_time, metric_id")
    stages, writers = defaultdict(list), defaultdict(set)
    for row in rows:
        stages[row["session_id"]].append(row["stage"])
        by_asked = row["stage"] in ASKED or journey.sessions[row["session_id"]].draft is None
        writers["asked" if by_asked else "reviewed"].add(row["process"])
    assert stages == {
        session: STAGES[case.verdict] if case.draft else [*ASKED, "user_delivery"]
        for session, case in journey.sessions.items()
    }
    (user_bot,), (moderator_bot,) = writers["asked"], writers["reviewed"]
    pids = {line["process"]: line["pid"] for line in journey.lines("process_started")}
    assert {"user_bot": pids[user_bot], "moderator_bot": pids[moderator_bot]} == journey.pids


def test_each_session_is_one_trace_with_one_root(journey: Journey) -> None:
    """Every stage hangs under the session's one root, but the AI's part of a correction under the correction."""
    roots = journey.rows("SELECT session_id, span_id FROM spans WHERE coalesce(parent_span_id, '') = ''")
    tops = {row["session_id"]: row["span_id"] for row in roots}
    assert len(tops) == len(roots) == len(journey.cases)
    rows = journey.rows("SELECT session_id, stage, span_id, parent_span_id FROM processing_metrics")
    processing = {row["session_id"]: row["span_id"] for row in rows if row["stage"] == "correction_processing"}
    for row in rows:
        above = processing if row["stage"] == "correction_ai" else tops
        assert row["parent_span_id"] == above[row["session_id"]]


def test_corrections_are_counted_and_typed(journey: Journey) -> None:
    """Each correction is one row with its session, type, moderator and lengths; nothing else is a correction."""
    expected = {
        session: (
            TYPES[case.verdict, case.hashtag],
            case.moderator_id,
            len(case.draft or ""),
            0 if case.verdict == "reject" else len(case.corrected),
        )
        for session, case in journey.sessions.items()
        if case.verdict != "approve"
    }
    rows = journey.rows("SELECT * FROM correction_metrics")
    assert len(rows) == len(expected)
    columns = ("correction_type", "admin_user_id", "original_length", "corrected_length")
    assert {row["session_id"]: tuple(row[column] for column in columns) for row in rows} == expected
    assert {row["correction_type"] for row in rows} == set(TYPES.values())
    logged = Counter(line["correction_type"] for line in journey.lines("correction_recorded"))
    assert logged == Counter(kind for kind, *_ in expected.values())


def test_voice_corrections_say_how_long_their_parts_took(journey: Journey) -> None:
    """A voice correction has the times of its transcription and of the AI, which lie within the whole."""
    rows = journey.rows("SELECT * FROM correction_metrics WHERE correction_type = 'voice_correction'")
    for row in rows:
        parts = row["voice_transcription_time_ms"] + row["ai_correction_time_ms"]
        assert 0 < parts <= row["processing_time_ms"] + 2  # each is rounded
        assert json.loads(row["metadata"]) == {"transcription_quality": "good"}


def test_edit_rates_agree_with_the_yardstick(journey: Journey) -> None:
    """The edit rates of real corrections are those that the authors of the data computed, but for words moved about."""
    if not journey.yardsticks:
        pytest.skip("made-up texts have no yardstick")
    rows = journey.rows(
        "SELECT session_id, word_edit_rate FROM correction_metrics WHERE correction_type <> 'rejection'"
    )
    cases = journey.sessions
    differences = [row["word_edit_rate"] - journey.yardsticks[cases[row["session_id"]].question] for row in rows]
    # The yardstick counts a moved phrase once and words by their spaces, so a few pairs differ, and mostly upwards.
    assert sum(abs(difference) < 0.02 for difference in differences) > len(differences) / 2
    assert -0.01 < fmean(differences) < 0.08


def test_dashboard_shows_what_the_bots_noted(journey: Journey) -> None:
    """Counts, rates and types are exactly those of the bots' own notes."""
    document = journey.dashboard()
    stages, judged = journey.noted("stage"), journey.noted("correction")
    overview = document["overview"]
    assert overview["total_requests"] == len(journey.cases)
    assert overview["total_corrections"] == len(judged)
    assert overview["overall_success_rate"] == pytest.approx(100 * fmean(note["success"] for note in stages))

    successes = defaultdict(list)
    for note in stages:
        successes[note["stage"]].append(note["success"])
    shown = document["processing_by_stage"]
    assert {stage: figures["count"] for stage, figures in shown.items()} == {k: len(v) for k, v in successes.items()}
    for stage, figures in shown.items():
        assert figures["success_rate"] == pytest.approx(100 * fmean(successes[stage])), stage
    assert shown["user_delivery"]["success_rate"] < 100  # somebody has blocked the bot

    times = defaultdict(list)
    shown = {note["session"]: note["at"] for note in journey.noted("shown")}
    for note in judged:
        times[note["type"]].append((note["at"] - shown[note["session"]]) * 1000)
    by_type = document["corrections"]["by_type"]
    assert {kind: figures["total_count"] for kind, figures in by_type.items()} == {k: len(v) for k, v in times.items()}
    for kind, figures in by_type.items():
        near = pytest.approx(fmean(times[kind]), rel=0, abs=TYPICAL_TOLERANCE_MS)
        assert figures["avg_processing_time_ms"] == near, kind
    by_admin = {name: figures["total_corrections"] for name, figures in document["corrections"]["by_admin"].items()}
    assert by_admin == Counter(f"admin_{note['moderator']}" for note in judged)


def test_dashboard_durations_are_those_of_the_bots_stopwatch(journey: Journey) -> None:
    """Means and percentiles of each stage agree with the bots' stopwatch, the hours of waiting too."""
    document = journey.dashboard()
    by_stage = durations_ms(journey)
    for stage, figures in document["processing_by_stage"].items():
        own = by_stage[stage]
        typical = {"avg_duration_ms": fmean(own), "p50_ms": quantile(own, 0.5)}
        extreme = {"p95_ms": quantile(own, 0.95), "p99_ms": quantile(own, 0.99)}
        for expected, tolerance in ((typical, TYPICAL_TOLERANCE_MS), (extreme, EXTREME_TOLERANCE_MS)):
            assert {name: figures[name] for name in expected} == pytest.approx(expected, rel=0, abs=tolerance), stage

    spans: dict[str, list[float]] = defaultdict(list)
    for note in journey.noted("stage"):
        spans[note["session"]] += [note["started"], note["ended"]]
    whole = fmean((max(times) - min(times)) * 1000 for times in spans.values())
    assert document["overview"]["avg_total_processing_time_ms"] == pytest.approx(whole, rel=0, abs=TYPICAL_TOLERANCE_MS)


def test_dashboard_is_computed_to_the_microsecond(journey: Journey) -> None:
    """From the rows of the store, plain Python comes to the dashboard's durations exactly."""
    rows = journey.rows(
        "SELECT session_id, stage, epoch_us(start_time) AS started, epoch_us(end_time) AS ended FROM processing_metrics"
    )
    by_stage: dict[str, list[float]] = defaultdict(list)
    by_session: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        by_stage[row["stage"]].append((row["ended"] - row["started"]) / 1000)
        by_session[row["session_id"]] += [row["started"], row["ended"]]
    document = journey.dashboard()
    for stage, own in by_stage.items():
        figures = document["processing_by_stage"][stage]
        assert figures["avg_duration_ms"] == pytest.approx(fmean(own), abs=0.001), stage
        for name, q in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
            assert figures[name] == pytest.approx(quantile(own, q), abs=0.001), (stage, name)
    whole = fmean((max(times) - min(times)) / 1000 for times in by_session.values())
    assert document["overview"]["avg_total_processing_time_ms"] == pytest.approx(whole, abs=0.001)


def test_correction_rate_and_its_alert(journey: Journey) -> None:
    """The rate counts sessions that were corrected and not rejected, and above 30 percent it raises an alert."""
    corrected = [note for note in journey.noted("correction") if note["type"] != "rejection"]
    rate = 100 * len({note["session"] for note in corrected}) / len(journey.cases)
    assert rate > 30
    document = journey.dashboard()
    assert document["corrections"]["rate"] == pytest.approx(rate)
    for alerts in (document["alerts"], json.loads(journey.ask("alerts", "--format", "json"))):
        (alert,) = [alert for alert in alerts if alert["type"] == "high_correction_rate"]
        assert alert["severity"] == "warning"
        assert alert["message"] == f"High correction rate detected: {rate:.1f}%"
        assert alert["correction_rate"] == pytest.approx(rate, abs=0.05)
        assert not [alert for alert in alerts if alert["type"] == "slow_processing"]


def test_python_and_the_command_line_say_the_same(journey: Journey) -> None:
    """get_dashboard_data() returns the document that `otel-metrics dashboard --format json` prints."""
    code = "import json, otel_metrics; print(json.dumps(otel_metrics.get_dashboard_data()))"
    said = json.loads(journey.run(sys.executable, "-c", code))
    shown = journey.dashboard()
    for part in ("overview", "processing_by_stage", "corrections", "alerts"):
        assert said[part] == shown[part]


def test_every_answer_reaches_the_chat_that_asked(journey: Journey) -> None:
    """Each chat gets the drafts and corrections meant for it and nothing else; a rejected question gets no answer."""
    expected: dict[int, list[str]] = defaultdict(list)
    for case in journey.cases:
        if case.draft is None:
            expected[case.chat_id].append(SORRY)
        elif outcome(case) == "delivered":
            expected[case.chat_id].append(case.draft if case.verdict == "approve" else case.corrected)
    assert {chat: sorted(texts) for chat, texts in journey.answers.items() if texts} == {
        chat: sorted(texts) for chat, texts in expected.items()
    }


def test_second_verdict_is_refused(journey: Journey) -> None:
    """A moderator who replies to a decided draft is told so; the other tests show that nothing more came of it."""
    assert journey.refusals == [TOO_LATE] * 3


def test_queue_length_and_log_lines_are_kept(journey: Journey) -> None:
    """Each draft shown leaves one value of the queue's length, each draft enqueued one line of the bot's logger."""
    drafted = [session for session, case in journey.sessions.items() if case.draft]
    lengths = journey.rows("SELECT value, tags FROM system_metrics WHERE metric_type = 'reviews_waiting'")
    assert [json.loads(row["tags"]) for row in lengths] == [{"bot": "moderators"}] * len(drafted)
    assert all(0 <= int(row["value"]) < len(drafted) for row in lengths)
    lines = journey.rows("SELECT session_id, level FROM logs WHERE event_type = 'draft_enqueued'")
    assert sorted((row["session_id"], row["level"]) for row in lines) == sorted((s, "info") for s in drafted)


@pytest.mark.parametrize("verdict", STAGES)
def test_waterfall_is_drawn(journey: Journey, verdict: str) -> None:
    """`otel-metrics session` draws each of a session's stages, one line below the other in their order."""
    session = next(session for session, case in journey.sessions.items() if case.verdict == verdict and case.draft)
    drawn = journey.ask("session", session)
    assert session in drawn
    places = [drawn.find(stage) for stage in STAGES[verdict]]
    assert -1 not in places
    assert places == sorted(places)


def test_queue_between_the_bots_carries_the_item_and_nothing_else_of_ours(journey: Journey) -> None:
    """Of otel_metrics the queue's rows have the item's string; all else is the bot's own, and nothing is left over."""
    with closing(sqlite3.connect(journey.folder / "queue.db")) as queue:
        columns = [row[1] for row in queue.execute("PRAGMA table_info(reviews)")]
        left = queue.execute("SELECT count(*) FROM reviews").fetchone()[0]
    assert set(columns) - {"number", "question", "card_id"} == {"item"}
    assert left == 0


def test_no_text_is_in_the_store(journey: Journey) -> None:
    """Neither a question nor a draft nor a correction can be found in any file of the store."""
    content = b"".join(path.read_bytes() for path in journey.folder.glob("**/*metrics*") if path.is_file())
    assert b"correction_recorded" in content
    for case in journey.cases:
        for text in (case.question, case.draft, case.corrected):
            for form in {text, json.dumps(text)[1:-1]} if text else ():
                assert form.encode() not in content


def test_play_shows_the_way(tmp_path: Path) -> None:
    """The example's play runs by itself, and the commands that it prints at its end work."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "examples.moderated_bot.play", str(tmp_path)]
    played = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert played.returncode == 0, played.stderr
    lines = [shlex.split(line) for line in played.stdout.splitlines() if line.strip().startswith("otel-metrics ")]
    assert [line[1] for line in lines] == ["dashboard", "sessions", "sql"]
    for line in lines:
        show = [sys.executable, "-m", "otel_metrics", *line[1:]]
        run = subprocess.run(show, capture_output=True, check=False, timeout=60)
        assert run.returncode == 0, run.stderr
        assert run.stdout


def test_play_keeps_on_until_it_is_stopped(tmp_path: Path) -> None:
    """With --keep-on more conversations follow the first eight; when it is stopped its bots are stopped too."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "examples.moderated_bot.play", "--keep-on", "0.01", str(tmp_path)]
    playing = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for("more than eight sessions", lambda: notes_of(tmp_path, "session") > 8)
    playing.terminate()
    _, complaint = playing.communicate(timeout=60)
    assert (playing.returncode, complaint) == (0, "")
    assert [(tmp_path / f"{bot}.err").read_text(encoding="utf-8") for bot in ("user_bot", "moderator_bot")] == ["", ""]


def notes_of(folder: Path, what: str) -> int:
    """How often the bots noted something."""
    notes = folder / "notes.jsonl"
    lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
    return sum(f'"what": "{what}"' in line for line in lines)
