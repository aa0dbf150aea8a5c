"""Preference pairs: which corrections become one, what stands in it, and what is said where there is none."""

import json
import stat
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.desk import desk
from support.tiers import move_to_segments

from otel_metrics import MetricsService
from otel_metrics.errors import QueryError
from otel_metrics.testing import SteppedClock, temporary_service

NAMES = ["prompt", "chosen", "rejected", "session_id", "correction_type", "model", "prompt_version"]


@pytest.fixture
def capturing(tmp_path: Path, clock: SteppedClock) -> Iterator[MetricsService]:
    """A service that keeps texts."""
    with temporary_service(tmp_path, clock=clock, capture_content=True) as made:
        yield made


def play(
    service: MetricsService,
    question: str | None,
    draft: str | None,
    corrected: str | None,
    kind: str = "text_correction",
) -> str:
    """A session with a question, a draft and a correction."""
    session = service.create_session(1, 2)
    with service.timer(session, 1, 2, "query_received") as stage:
        stage.text(question)
    with service.timer(session, 1, 2, "ai_processing", model="m1", prompt_version="v2"):
        pass
    service.record_correction(session, 9, "m", kind, draft, corrected, 10)
    service.end_session(session)
    return session


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_correction_becomes_a_pair(capturing: MetricsService, tmp_path: Path) -> None:
    """The question is the prompt, the corrected text is chosen, the draft rejected; the file is private."""
    session = play(capturing, "wann öffnet ihr?", "at nine", "at eight")
    done = capturing.answers.preferences(tmp_path / "pairs.jsonl")
    assert lines(tmp_path / "pairs.jsonl") == [
        dict(
            zip(NAMES, ["wann öffnet ihr?", "at eight", "at nine", session, "text_correction", "m1", "v2"], strict=True)
        )
    ]
    assert list(lines(tmp_path / "pairs.jsonl")[0]) == NAMES
    assert stat.S_IMODE((tmp_path / "pairs.jsonl").stat().st_mode) == 0o600
    assert (done["pairs"], done["without_prompt"]) == (1, 0)


texts = st.sampled_from([None, "a", "b", "x" * 70])
plays = st.tuples(texts, texts, texts, st.sampled_from(["text_correction", "voice_correction", "rejection"]))


@given(st.lists(plays, max_size=12), st.booleans(), st.booleans())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_correction_is_written_or_counted(found: list[Any], captures: bool, cold: bool) -> None:
    """Each is a pair, or in the one count that says why it is none, as plain Python finds it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        temporary_service(
            Path(folder), clock=SteppedClock(step_s=1), capture_content=captures, text_limit=64
        ) as service,
    ):
        for one in found:
            play(service, *one)
        if cold:
            move_to_segments(service)
        path = Path(folder) / "pairs.jsonl"
        done = service.answers.preferences(path)
        written = lines(path) if path.exists() else []
    fates: Counter[str] = Counter()
    pairs: list[tuple[Any, Any, Any]] = []
    for question, draft, corrected, kind in found:
        long = any(text and len(text) > 64 for text in (question, draft, corrected))
        pair = (question, corrected, draft)
        if kind == "rejection":
            fates["rejections"] += 1
        elif not captures or not draft or not corrected:
            fates["not_captured"] += 1
        elif draft == corrected:
            fates["unchanged"] += 1
        elif long:
            fates["cut"] += 1
        elif pair in pairs:
            fates["duplicates"] += 1
        else:
            pairs.append(pair)
    fates["pairs"] = len(pairs)
    counts = {name: done[name] for name in ("pairs", "rejections", "not_captured", "unchanged", "cut", "duplicates")}
    assert counts == {name: fates[name] for name in counts}
    assert done["corrections"] == len(found) == sum(counts.values())
    assert [(one["prompt"], one["chosen"], one["rejected"]) for one in written] == pairs
    assert done["without_prompt"] == sum(prompt is None for prompt, _, _ in pairs)


def test_only_the_period_counts(capturing: MetricsService, clock: SteppedClock, tmp_path: Path) -> None:
    """A correction at the beginning is out, one at the end is in."""
    start = datetime(2026, 1, 1, 12, tzinfo=UTC)
    for number in range(3):
        clock.set_time(start + timedelta(hours=number))
        play(capturing, "q", "draft", f"text {number}")
    path = tmp_path / "pairs.jsonl"
    capturing.answers.preferences(path, start, start + timedelta(hours=1))
    assert [one["chosen"] for one in lines(path)] == ["text 1"]
    with pytest.raises(QueryError, match="a beginning before the end"):
        capturing.answers.preferences(path, start, start)
    with pytest.raises(QueryError, match="can not be read"):
        capturing.answers.preferences(path, "soon")


def test_without_captured_texts_it_says_how_to_switch_that_on(service: MetricsService, tmp_path: Path) -> None:
    """No file is written, an earlier one stays, and the sentences name the setting; the command ends with status 1."""
    play(service, "q", "draft", "text")
    service.flush()
    path = tmp_path / "pairs.jsonl"
    path.write_text("earlier")
    done = service.answers.preferences(path)
    assert "METRICS_CAPTURE_CONTENT=true" in " ".join(done["sentences"])
    assert path.read_text() == "earlier"
    status, said = desk("preferences", "--database", tmp_path / "metrics.db", "--output", path)
    assert status == 1
    assert "METRICS_CAPTURE_CONTENT=true" in said
    assert sorted(one.name for one in tmp_path.glob("*pairs*")) == ["pairs.jsonl"]


def test_the_command_refuses_the_files_of_the_store(capturing: MetricsService, tmp_path: Path) -> None:
    """It never writes over the database or the log, and not into a folder that is not there."""
    play(capturing, "q", "draft", "text")
    capturing.flush()
    for name in ("metrics.db", "metrics.jsonl", "nowhere/pairs.jsonl"):
        assert desk("preferences", "--database", tmp_path / "metrics.db", "--output", tmp_path / name)[0] == 2
    assert desk("preferences", "--database", tmp_path / "metrics.db", "--output", tmp_path / "pairs.jsonl")[0] == 0
