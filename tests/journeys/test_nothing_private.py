"""A whole session with marked texts and a bot's token: neither is in any file of the store or in anything that is sent."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from support.otlp import HttpReceiver
from support.stores import rows

import otel_metrics

TOKEN = "7312845566:AAF9k3-VQm_1zYt0wPqLr8sXuB2cDe4fGhI"
URL = f"https://api.telegram.org/bot{TOKEN}/sendMessage"
MARKS = {
    "question": "zebra-question-71", "draft": "zebra-draft-72", "answer": "zebra-answer-73", "voice": "zebra-voice-74",
    "rejected": "zebra-rejected-75",
}  # fmt: skip
USER, CHAT, MODERATOR = 7_310_045_871, 8_420_056_982, 6_200_034_760


def converse() -> None:
    """Everything that a bot gives us with texts and URLs near it."""
    session = otel_metrics.create_session(USER, CHAT, platform="telegram", webhook=URL)
    tracer = trace.get_tracer("opentelemetry.instrumentation.httpx")
    with otel_metrics.timer(session, USER, CHAT, "query_received", question_length=len(MARKS["question"])):
        pass
    with otel_metrics.timer(session, USER, CHAT, "ai_processing", model="m", nested={"url": [URL]}) as stage:
        assert stage.span is not None
        stage.span.set_attribute("server.url", URL.replace(":AAF", "%3AAAF"))
        stage.span.add_event("called", {"url": URL})
    otel_metrics.record_correction(
        session, MODERATOR, "m1", "text_correction", MARKS["draft"], MARKS["answer"], 1200, source=URL
    )
    otel_metrics.record_correction(session, MODERATOR, "m2", "voice_correction", MARKS["draft"], MARKS["voice"], 1200)
    otel_metrics.record_correction(session, MODERATOR, "m3", "rejection", MARKS["rejected"], None, 1200)
    with (
        pytest.raises(ConnectionError),
        otel_metrics.timer(session, USER, CHAT, "user_delivery"),
        tracer.start_as_current_span("POST", kind=SpanKind.CLIENT, attributes={"url.full": URL, "http.url": URL}),
    ):
        raise ConnectionError(f"401 Unauthorized for url '{URL}'")
    otel_metrics.get_logger().error("send_failed", f"could not send: {URL}", url=URL, texts=[URL])
    otel_metrics.record_system_metric("webhook", URL, {"url": URL})
    with tracer.start_as_current_span("GET", attributes={"url.full": URL}):
        pass
    otel_metrics.end_session(session)


def test_neither_texts_nor_tokens_are_kept_or_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With content capture off, as it is, texts and tokens are in no row, no line, no free page and no OTLP message."""
    with HttpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        service = otel_metrics.configure(database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl")
        converse()
        service.flush()
        assert rows(service, "processing_metrics", "stage = 'user_delivery'")[0]["error_message"] == (
            "401 Unauthorized for url 'https://api.telegram.org/bot<bot token>/sendMessage'"
        )
        otel_metrics.shutdown()
        assert len(receiver.spans()) >= 8
        assert receiver.metric("hitl.corrections")
        sent = receiver.raw
    secret = TOKEN.partition(":")[2]
    with closing(sqlite3.connect(tmp_path / "metrics.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        dump = "\n".join(connection.iterdump())
    places = {path.name: path.read_bytes() for path in tmp_path.iterdir()} | {"dump": dump.encode(), "OTLP": sent}
    assert {"metrics.db", "metrics.jsonl", "metrics.forward"} <= set(places)
    for name, content in places.items():
        for mark in [*MARKS.values(), secret]:
            assert mark.encode() not in content, (name, mark)
    for raw_id in (USER, CHAT, MODERATOR):
        assert str(raw_id).encode() not in sent


def test_texts_of_corrections_stay_local_where_they_are_captured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With content capture on the texts are in the store, which shows that the search finds them, and are still not sent."""
    with HttpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        otel_metrics.configure(
            database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl", capture_content=True
        )
        converse()
        otel_metrics.shutdown()
        assert receiver.spans()
        sent = receiver.raw
    log = (tmp_path / "metrics.jsonl").read_bytes()
    for name in ("draft", "answer", "voice", "rejected"):
        assert MARKS[name].encode() in log
        assert MARKS[name].encode() not in sent
    assert TOKEN.partition(":")[2].encode() not in log
