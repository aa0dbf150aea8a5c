"""What is kept of the texts that stages and corrections tell: keyed hashes and lengths, the text only where it is asked for."""

import re
from pathlib import Path

import pytest
from support.otlp import HttpReceiver
from support.stores import only_row, rows

import otel_metrics
from otel_metrics import MetricsService
from otel_metrics.testing import temporary_service


def test_of_a_stages_text_its_hash_and_length_are_kept(service: MetricsService) -> None:
    """The text itself is nowhere; equal texts have equal hashes, other texts others."""
    session = service.create_session(1, 2)
    for stage, text in (("ai_processing", "zebra ü"), ("admin_review", "zebra ü"), ("user_delivery", "giraffe")):
        with service.timer(session, 1, 2, stage, model="m") as timed:
            timed.text("an earlier one")
            timed.text(text)
    told = {row["stage"]: row["metadata"] for row in rows(service, "processing_metrics")}
    assert {name: (one["length"], one["model"], "text" in one) for name, one in told.items()} == {
        "ai_processing": (7, "m", False), "admin_review": (7, "m", False), "user_delivery": (7, "m", False),
    }  # fmt: skip
    assert re.fullmatch(r"[0-9a-f]{16}", told["ai_processing"]["text_hash"])
    assert told["ai_processing"]["text_hash"] == told["admin_review"]["text_hash"] != told["user_delivery"]["text_hash"]
    assert "zebra" not in service.settings.log_file.read_text(encoding="utf-8")


def test_a_correction_keeps_the_hashes_of_both_texts(service: MetricsService) -> None:
    """They are those of the stages that tell the same texts; where there is no text there is no hash."""
    session = service.create_session(1, 2)
    with service.timer(session, 1, 2, "ai_processing") as stage:
        stage.text("draft")
    service.record_correction(session, 9, "m", "text_correction", "draft", "better", 10)
    service.record_correction(session, 9, "m", "rejection", "draft", None, 10)
    drafted = only_row(service, "processing_metrics")["metadata"]["text_hash"]
    told = {row["correction_type"]: row for row in rows(service, "correction_metrics")}
    edited, rejected = told["text_correction"], told["rejection"]
    assert (edited["original_hash"], rejected["original_hash"], rejected["corrected_hash"]) == (drafted, drafted, None)
    assert edited["corrected_hash"] not in {None, drafted}


def test_another_key_gives_other_hashes(tmp_path: Path) -> None:
    """Nobody without the store's key can tell which text was hashed."""
    hashes = set()
    for name in ("one", "two"):
        with temporary_service(tmp_path / name) as service:
            with service.timer("s", 1, 2, "ai_processing") as stage:
                stage.text("yes")
            hashes.add(only_row(service, "processing_metrics")["metadata"]["text_hash"])
    assert len(hashes) == 2


@pytest.mark.parametrize("text", ["", "\ud800 lone", 42, object()])
def test_any_text_is_taken(service: MetricsService, text: object) -> None:
    """Nothing that is told as a text disturbs the bot."""
    with service.timer("s", 1, 2, "ai_processing") as stage:
        stage.text(text)
    assert only_row(service, "processing_metrics")["metadata"]["length"] == len(str(text))


def test_no_text_is_no_text(service: MetricsService) -> None:
    """None, a stage that is never told one and a service that is switched off record nothing of it."""
    with service.timer("s", 1, 2, "ai_processing") as stage:
        stage.text(None)
    assert only_row(service, "processing_metrics")["metadata"] == {}


def test_telling_a_text_to_a_service_that_is_switched_off_does_nothing(tmp_path: Path) -> None:
    """It neither raises nor makes a file."""
    with temporary_service(tmp_path, enabled=False) as service, service.timer("s", 1, 2, "ai_processing") as stage:
        stage.text("zebra")
    assert list(tmp_path.iterdir()) == []


def test_captured_texts_of_stages_stay_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With content capture on the text is in the row, cut at the limit, and still not sent; its hash is of the whole text."""
    with HttpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        service = otel_metrics.configure(
            database=tmp_path / "m.db", log_file=tmp_path / "m.jsonl", capture_content=True, text_limit=64
        )
        for number, end in enumerate(("one", "two")):
            with otel_metrics.timer(f"s{number}", 1, 2, "ai_processing") as stage:
                stage.text("zebra" * 20 + end)
        first, second = (row["metadata"] for row in rows(service, "processing_metrics"))
        otel_metrics.shutdown()
        assert len(receiver.spans()) == 2
        sent = receiver.raw
    assert first["text"].startswith("zebra" * 12)
    assert first["text"].endswith("[cut, 103 characters]")
    assert first["text_hash"] != second["text_hash"]
    assert first["length"] == 103
    assert b"zebra" not in sent
    assert first["text_hash"].encode() in sent
