"""Ids of users, chats and moderators, whatever the platform gives."""

from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.processes import run
from support.stores import only_row, rows

from otel_metrics import MetricsService

SESSION = "65a1b2c3000000ff0123456789abcdef"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (0, 0),
        (-1001234567890, -1001234567890),
        ("12345", 12345),
        ("-5", -5),
        (2**63 - 1, 2**63 - 1),
        (None, 0),
        ("", 0),
    ],
)
def test_integer_is_kept_as_it_is(service: MetricsService, given: object, kept: int) -> None:
    """Integers and their text stay as they are; an absent id is 0."""
    with service.timer(SESSION, given, given, "query_received"):
        pass
    row = only_row(service, "processing_metrics")
    assert (row["user_id"], row["chat_id"], row["metadata"]) == (kept, kept, {})


@pytest.mark.parametrize("given", ["U024BE7LH", "ä", 2**63, 2**200, 1.5, True, b"x", "\udc80", "9" * 30])
def test_other_id_becomes_a_number_of_63_bits(service: MetricsService, given: object) -> None:
    """Anything else becomes a stable positive number, with the original in the metadata."""
    with service.timer(SESSION, given, 2, "query_received"):
        pass
    service.record_correction(SESSION, given, "m", "rejection", "", "", 1)
    row, correction = only_row(service, "processing_metrics"), only_row(service, "correction_metrics")
    assert 0 < row["user_id"] < 2**63
    assert correction["admin_user_id"] == row["user_id"]
    shown = "\\udc80" if given == "\udc80" else str(given)
    assert row["metadata"] == {"user_id": shown}
    assert correction["metadata"] == {"admin_user_id": shown}


def test_number_is_the_same_in_every_process(service: MetricsService, tmp_path: Path) -> None:
    """Two processes make the same number of the same id."""
    run("import otel_metrics; otel_metrics.create_session('U024BE7LH', 'C1')", tmp_path, PYTHONHASHSEED="7")
    service.create_session("U024BE7LH", "C1")
    first, second = rows(service, "sessions")
    assert (first["user_id"], first["chat_id"]) == (second["user_id"], second["chat_id"])
    assert first["user_id"] != first["chat_id"]


def test_original_id_is_never_an_attribute(service: MetricsService) -> None:
    """No span carries an id or its number, only a keyed hash that is the same for the same id."""
    sent = InMemorySpanExporter()
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(sent))  # type: ignore[attr-defined]
    session_id = service.create_session("U024BE7LH", "C1")
    with service.timer(session_id, "U024BE7LH", "C1", "query_received"):
        pass
    service.record_correction(session_id, "U777", "m", "rejection", "a", "b", 1)
    service.end_session(session_id)
    stage, correction, root = sent.get_finished_spans()
    assert len(str(stage.attributes["user.hash"])) == 16
    assert stage.attributes["user.hash"] == root.attributes["user.hash"]
    assert stage.attributes["user.hash"] != stage.attributes["hitl.chat.id"]
    assert "hitl.moderator.id" in correction.events[0].attributes
    row, moderated = only_row(service, "processing_metrics"), only_row(service, "correction_metrics")
    everything = "".join(span.to_json() for span in (stage, correction, root))
    for text in ("U024BE7LH", '"C1"', "U777", row["user_id"], row["chat_id"], moderated["admin_user_id"]):
        assert str(text) not in everything


def test_id_whose_text_fails_does_not_cost_the_stage(service: MetricsService) -> None:
    """An id that can not even be shown is kept as a placeholder's number."""

    class Mute:
        def __str__(self) -> str:
            raise RuntimeError

        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        __hash__ = None  # type: ignore[assignment]

    with service.timer(SESSION, Mute(), 2, "query_received"):
        pass
    assert only_row(service, "processing_metrics")["metadata"] == {"user_id": "<unreadable>"}
