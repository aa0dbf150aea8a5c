"""Corrections: their row, their event, their measures."""

from pathlib import Path

import pytest
from support.stores import lines, only_row, rows

from otel_metrics import CorrectionType, MetricsService
from otel_metrics.model.identity import root_span_id_of
from otel_metrics.recording.edits import similarity, word_edit_rate
from otel_metrics.testing import SteppedClock, temporary_service

SESSION = "65a1b2c3000000ff0123456789abcdef"
DRAFT = "Your order will arrive on Tuesday, I think."
CORRECTED = "Your order will arrive on Friday."


@pytest.mark.parametrize("kind", [*CorrectionType, *(kind.value for kind in CorrectionType)])
def test_each_type_is_kept(service: MetricsService, kind: str) -> None:
    """A correction of each type, as member or as text, is one row with all its facts."""
    service.record_correction(
        SESSION, 99999, "msg_17", kind, DRAFT, CORRECTED, 5000, voice_transcription_time_ms=1200,
        ai_correction_time_ms=800, admin_satisfaction=4, retry_count=1, transcription_quality="excellent",
    )  # fmt: skip
    row = only_row(service, "correction_metrics")
    assert {name: row[name] for name in list(row)[1:14]} == {
        "session_id": SESSION, "admin_user_id": 99999, "message_id": "msg_17", "correction_type": str(kind),
        "original_length": len(DRAFT), "corrected_length": len(CORRECTED), "processing_time_ms": 5000,
        "voice_transcription_time_ms": 1200, "ai_correction_time_ms": 800, "timestamp": "2026-01-01T12:00:00.000000Z",
        "admin_satisfaction": 4, "retry_count": 1, "metadata": {"transcription_quality": "excellent"},
    }  # fmt: skip


def test_optional_facts_may_be_left_out(service: MetricsService) -> None:
    """What is not given is NULL, and there were no retries."""
    service.record_correction(SESSION, 7, 42, "text_correction", DRAFT, CORRECTED, 10)
    row = only_row(service, "correction_metrics")
    assert row["message_id"] == "42"
    assert [row[name] for name in ("voice_transcription_time_ms", "ai_correction_time_ms", "admin_satisfaction")] == [
        None,
        None,
        None,
    ]
    assert row["retry_count"] == 0


def test_line_has_the_shape_of_the_contract(service: MetricsService) -> None:
    """The correction's line in the log has the fields that its readers were promised, flat."""
    service.record_correction(SESSION, 99999, "m1", "voice_correction", "a" * 65, "b" * 89, 5000)
    line = next(line for line in lines(service) if line["event_type"] == "correction_recorded")
    promised = {
        "timestamp": "2026-01-01T12:00:00.000000Z", "level": "metric", "event_type": "correction_recorded",
        "message": "Correction recorded: voice_correction", "session_id": SESSION, "admin_user_id": 99999,
        "correction_type": "voice_correction", "processing_time_ms": 5000, "original_length": 65, "corrected_length": 89,
    }  # fmt: skip
    assert {name: line[name] for name in promised} == promised
    assert [name for name in line if name in promised] == [
        "timestamp", "level", "event_type", "message", "session_id", "admin_user_id", "correction_type",
        "original_length", "corrected_length", "processing_time_ms",
    ]  # fmt: skip


def test_event_stands_on_the_live_stage(service: MetricsService) -> None:
    """While a stage of the session runs, the correction is an event on its span, with the row's id."""
    with service.timer(SESSION, 1, 2, "admin_review"):
        service.record_correction(SESSION, 7, "m", "text_correction", DRAFT, CORRECTED, 10, admin_satisfaction=5)
    (event,) = only_row(service, "processing_metrics")["events"]
    row = only_row(service, "correction_metrics")
    assert event["name"] == "hitl.correction"
    attributes = event["attributes"]
    assert attributes["hitl.correction.id"] == row["correction_id"]
    assert attributes["hitl.correction.type"] == "text_correction"
    assert attributes["hitl.correction.edit_distance"] == row["word_edit_rate"]
    assert attributes["hitl.correction.similarity"] == row["similarity"]
    assert attributes["hitl.review.decision"] == "edited"
    assert attributes["hitl.review.satisfaction"] == 5
    assert rows(service, "spans") == []


def test_event_stands_on_the_innermost_stage_of_the_same_session(service: MetricsService) -> None:
    """With stages of several sessions open, the event goes to the current one of its own session."""
    other = service.create_session(1, 2)
    with (
        service.timer(SESSION, 1, 2, "admin_review"),
        service.timer(SESSION, 1, 2, "correction_processing"),
        service.timer(other, 1, 2, "admin_review"),
    ):
        service.record_correction(SESSION, 7, "m", "text_correction", DRAFT, CORRECTED, 10)
    with_event = [row for row in rows(service, "processing_metrics") if row["events"]]
    assert [(row["stage"], row["session_id"]) for row in with_event] == [("correction_processing", SESSION)]


def test_without_a_live_stage_the_event_has_a_span_of_its_own(service: MetricsService) -> None:
    """Where no stage runs, a short span in the session's trace, under its root, carries the event."""
    service.record_correction(SESSION, 7, "m", "rejection", DRAFT, "", 10)
    span, row = only_row(service, "spans"), only_row(service, "correction_metrics")
    assert (span["name"], span["session_id"]) == ("hitl.correction", SESSION)
    assert span["parent_span_id"] == f"{root_span_id_of(int(SESSION, 16)):016x}"
    (event,) = span["events"]
    assert event["attributes"]["hitl.correction.id"] == row["correction_id"]
    assert event["attributes"]["hitl.review.decision"] == "rejected"


def test_texts_are_measured_and_not_kept(service: MetricsService) -> None:
    """Without content capture no word of the draft or of the correction is in any file."""
    service.record_correction(SESSION, 7, "m", "text_correction", "my zebra draft", "my giraffe text", 10)
    service.flush()
    folder = service.settings.database.parent
    for path in folder.iterdir():
        assert b"zebra" not in path.read_bytes()
        assert b"giraffe" not in path.read_bytes()


def test_texts_are_kept_where_capture_is_on(tmp_path: Path, clock: SteppedClock) -> None:
    """With content capture the texts are in the local store, and still on no span."""
    with temporary_service(tmp_path, clock=clock, capture_content=True) as service:
        service.record_correction(SESSION, 7, "m", "text_correction", "my zebra draft", "my giraffe text", 10)
        row = only_row(service, "correction_metrics")
        assert (row["original_text"], row["corrected_text"]) == ("my zebra draft", "my giraffe text")
        assert "zebra" not in str(only_row(service, "spans"))


@pytest.mark.parametrize(
    ("before", "after", "rate", "alike"),
    [
        (DRAFT, DRAFT, 0.0, 1.0),
        ("", "", 0.0, 1.0),
        ("", "a b", 1.0, 0.0),
        ("a b", "", 1.0, 0.0),
        ("the cat sat", "the dog sat", 1 / 3, 1 - 3 / 11),
        ("Hello world", "Hello, world!", 2 / 4, 11 / 13),
        ("one two three four", "one", 3.0, 3 / 18),
        ("straße", "strasse", 1.0, 1 - 2 / 7),
    ],
)
def test_measures_are_those_of_the_field(before: str, after: str, rate: float, alike: float) -> None:
    """Word edit rate is word-level distance over the corrected words, punctuation counting; similarity is over characters."""
    assert word_edit_rate(before, after) == pytest.approx(rate)
    assert similarity(before, after) == pytest.approx(alike)


def test_unknown_type_is_kept_with_what_was_given(lenient: MetricsService) -> None:
    """A type that is not known warns with the known ones and is kept in the metadata."""
    with pytest.warns(RuntimeWarning, match="voice_correction"):
        lenient.record_correction(SESSION, 7, "m", "emoji", DRAFT, CORRECTED, 10)
    row = only_row(lenient, "correction_metrics")
    assert (row["correction_type"], row["metadata"]) == ("unknown", {"correction_type": "emoji"})
    assert lenient.losses.snapshot() == {"input_correction_type": 1}


@pytest.mark.parametrize("given", [0, 6, -1, 4.5, True, "5", float("nan")])
def test_satisfaction_out_of_range_is_kept_with_what_was_given(lenient: MetricsService, given: object) -> None:
    """A satisfaction that is not an integer from 1 to 5 is NULL and stands in the metadata."""
    with pytest.warns(RuntimeWarning, match="an integer from 1 to 5"):
        lenient.record_correction(SESSION, 7, "m", "rejection", "", "", 1, admin_satisfaction=given)  # type: ignore[arg-type]
    row = only_row(lenient, "correction_metrics")
    assert (row["admin_satisfaction"], row["metadata"]) == (None, {"admin_satisfaction": str(given)})


@pytest.mark.parametrize("given", [-1, float("nan"), float("inf"), "soon", True, 1 << 60])
def test_unusable_time_is_kept_with_what_was_given(lenient: MetricsService, given: object) -> None:
    """A processing time that is no time is NULL and stands in the metadata."""
    with pytest.warns(RuntimeWarning, match="a number from 0 on"):
        lenient.record_correction(SESSION, 7, "m", "rejection", "", "", given)  # type: ignore[arg-type]
    row = only_row(lenient, "correction_metrics")
    assert (row["processing_time_ms"], row["metadata"]) == (None, {"processing_time_ms": str(given)})


def test_texts_may_be_missing_or_no_texts(service: MetricsService) -> None:
    """None counts as empty, and what is not text is taken as its text."""
    service.record_correction(SESSION, 7, None, "rejection", None, 12345, 0.4)  # type: ignore[arg-type]
    row = only_row(service, "correction_metrics")
    assert (row["original_length"], row["corrected_length"], row["processing_time_ms"]) == (0, 5, 0)
    assert row["message_id"] == ""
