"""The same spans and metrics by OTLP: a bot's process, its moderators' process and a real receiver on loopback."""

import socket
from pathlib import Path

import pytest
from support.otlp import GrpcReceiver, HttpReceiver, Received
from support.processes import run
from support.stores import rows

from otel_metrics import ProcessingStage
from otel_metrics.model.identity import root_span_id_of
from otel_metrics.model.names import SECONDS_BOUNDS

USER, CHAT, MODERATOR = 7_310_045_871, 8_420_056_982, 6_200_034_760
MARK = "marked-text-of-somebody"

BOT = f"""
import otel_metrics as m
session = m.create_session({USER}, {CHAT}, platform="telegram")
with m.timer(session, {USER}, {CHAT}, "query_received"):
    pass
with m.timer(session, {USER}, {CHAT}, "ai_processing", model="gpt-4o", tokens_used=42):
    pass
print(session)
"""

MODERATORS = f"""
import sys, time
import otel_metrics as m
session = sys.argv[1]
ids = (session, {USER}, {CHAT})
m.record_stage(*ids, "moderation_queue", start_time=time.time() - 1e-3)
with m.timer(*ids, "admin_review"):
    pass
with m.timer(*ids, "correction_processing"):
    m.record_correction(session, {MODERATOR}, "m1", "text_correction", "{MARK} draft", "{MARK} answer", 1200, admin_satisfaction=4)
try:
    with m.timer(*ids, "correction_ai"):
        raise LookupError("{MARK} in an error")
except LookupError:
    pass
with m.timer(*ids, "final_response"):
    pass
with m.timer(*ids, "user_delivery"):
    pass
m.end_session(session, "delivered")
"""


def play(folder: Path, receiver: Received, **more: str) -> str:
    """One session through both processes; gives its id."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": receiver.protocol,
        **more,
    }
    session = run(BOT, folder, **variables).strip()
    run(MODERATORS, folder, session, **variables)
    return session


def attributes(item) -> dict[str, object]:
    """Attributes of a span, an event or a data point as a dict."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in item.attributes}


@pytest.mark.parametrize("kind", [GrpcReceiver, HttpReceiver])
def test_a_session_arrives_as_one_tree(tmp_path, kind):
    """From two processes: one root with the derived id, the eight stages under it in order, the correction on its stage."""
    with kind() as receiver:
        session = play(tmp_path, receiver)
    spans = receiver.spans()
    root_id = root_span_id_of(int(session, 16)).to_bytes(8, "big")
    assert {span.trace_id.hex() for span in spans} == {session}
    (root,) = [span for span in spans if span.span_id == root_id]
    assert root.name == "session"
    assert root.parent_span_id == b""
    assert attributes(root)["hitl.session.outcome"] == "delivered"
    stages = [span for span in spans if span.span_id != root_id]
    assert [span.name for span in stages] == [str(stage) for stage in ProcessingStage]
    assert {span.parent_span_id for span in stages} == {root_id}
    assert all(root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano for span in stages)
    (event,) = [(span.name, event) for span in stages for event in span.events]
    assert event[0] == "correction_processing"
    assert event[1].name == "hitl.correction"
    assert attributes(event[1])["hitl.correction.type"] == "text_correction"
    failed = [span for span in stages if span.status.code == 2]
    assert [(span.name, attributes(span)["error.type"], span.status.message) for span in failed] == [
        ("correction_ai", "LookupError", "")
    ]
    assert attributes(stages[1])["hitl.metadata.tokens_used"] == 42


def test_ids_go_out_as_hashes_and_texts_not_at_all(tmp_path):
    """No byte that is sent holds a user's, chat's or moderator's id, a text, or an exception's message."""
    with GrpcReceiver() as receiver:
        play(tmp_path, receiver)
    assert receiver.traces
    assert receiver.metrics
    assert MARK.encode() not in receiver.raw
    for number in (USER, CHAT, MODERATOR):
        assert str(number).encode() not in receiver.raw
    hashes = {attributes(span).get("user.hash") for span in receiver.spans()}
    assert {USER} == {row["user_id"] for row in rows(tmp_path / "metrics.db", "processing_metrics")}
    assert len(hashes - {None}) == 1


def test_metrics_arrive_with_their_bounds_and_without_ids(tmp_path):
    """Durations come as histograms in seconds whose bounds reach a day; no data point has an id."""
    with HttpReceiver() as receiver:
        session = play(tmp_path, receiver)
    assert {
        "hitl.stage.duration",
        "hitl.corrections",
        "hitl.session.duration",
        "hitl.review.duration",
    } <= receiver.metric_names()
    points = [point for metric in receiver.metric("hitl.stage.duration") for point in metric.histogram.data_points]
    assert {metric.unit for metric in receiver.metric("hitl.stage.duration")} == {"s"}
    assert {tuple(point.explicit_bounds) for point in points} == {SECONDS_BOUNDS}
    assert {attributes(point)["hitl.stage.name"] for point in points} == {str(stage) for stage in ProcessingStage}
    keys = {key for point in points for key in attributes(point)}
    assert keys <= {"hitl.stage.name", "hitl.platform.name", "error.type"}
    exemplars = [exemplar for point in points for exemplar in point.exemplars]
    assert exemplars
    assert {exemplar.trace_id.hex() for exemplar in exemplars} == {session}


def test_the_sampler_chooses_what_is_sent_and_the_store_keeps_all(tmp_path):
    """With `always_off` nothing is sent, and every stage is in the tables."""
    with GrpcReceiver() as receiver:
        play(tmp_path, receiver, OTEL_TRACES_SAMPLER="always_off")
    assert receiver.spans() == []
    assert len(rows(tmp_path / "metrics.db", "processing_metrics")) == len(ProcessingStage)


def test_a_collector_that_is_not_there_harms_nothing(tmp_path):
    """The processes end well without a word, and the store has everything."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        receiver = GrpcReceiver()
        receiver.endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with_silence = {"OTEL_LOG_LEVEL": "fatal", "PYTHONWARNINGS": "ignore"}
        session = play_quietly(tmp_path, receiver, with_silence)
    assert {row["session_id"] for row in rows(tmp_path / "metrics.db", "processing_metrics")} == {session}


def play_quietly(folder: Path, receiver: Received, variables: dict[str, str]) -> str:
    """As `play`, with the SDK's own complaints about the collector switched off: they are its business."""
    quiet = "import logging; logging.disable(logging.CRITICAL)\n"
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, **variables}
    session = run(quiet + BOT, folder, **variables).strip()
    run(quiet + MODERATORS, folder, session, **variables)
    return session
