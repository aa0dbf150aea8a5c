"""The whole way on real parts: the example's two bots, the real collector with the shipped file, a real Jaeger and Prometheus."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from played_journey import Journey, play
from support.backends import Jaeger, Prometheus, find_backend
from support.gateway import Gateway, wait_for

from examples.moderated_bot.people import Case
from examples.moderated_bot.play import TOKENS
from otel_metrics.model import names
from otel_metrics.model.identity import IdHasher

ANN, BOB, MODERATOR = 7_310_045_871, 8_420_056_982, 6_200_034_760
VOICE = [
    "query_received", "ai_processing", "moderation_queue", "admin_review", "correction_processing", "correction_ai",
    "final_response", "user_delivery",
]  # fmt: skip
CASES = [
    Case("Where is my parcel?", "It is lost.", "voice", ANN, ANN, MODERATOR, "It is on its way and arrives tomorrow."),
    Case("When do you open?", "We open at nine.", "approve", BOB, BOB, MODERATOR),
    Case("What is the meaning of life?", None, "approve", ANN + 1, ANN + 1, MODERATOR),
    Case("Do you ship abroad?", "Not at all.", "text", ANN + 2, ANN + 2, MODERATOR, "Yes, to all of Europe."),
    Case("How long is the warranty?", "One year.", "text", BOB + 2, BOB + 2, MODERATOR, "Two years.", "#factual"),
    Case("Which shares should I buy?", "All of them.", "reject", BOB + 3, BOB + 3, MODERATOR),
    Case("Can I pay later?", "Certainly you can.", "voice", ANN + 4, ANN + 4, MODERATOR, "You can pay within 30 days."),
    Case("Are you open today?", "Until nine.", "approve", BOB + 4, BOB + 4, MODERATOR, blocks=True),
]
SERVICE = "example-bot"
FOREIGN = 300  # traces of two spans each, from telemetrygen
# Fast enough for a test; the shipped file waits for 15 s, as Prometheus does.
QUICK = "connectors:\n  span_metrics:\n    metrics_flush_interval: 1s\n"


@dataclass(frozen=True)
class Arrived:
    """What stands in the backends when everybody has gone: the play, Jaeger and Prometheus."""

    journey: Journey
    jaeger: Jaeger
    prometheus: Prometheus
    began: float

    def arrived_spans(self) -> int:
        """How many spans of the bots Jaeger has."""
        return sum(len(trace["spans"]) for trace in self.jaeger.traces(SERVICE))

    def trace(self, session: str) -> dict[str, Any]:
        """One session's trace in Jaeger."""
        found = self.jaeger.trace(session)
        assert found is not None, f"{session} is not in Jaeger"
        return found

    def spans(self, session: str) -> list[dict[str, Any]]:
        """Its spans in order of start."""
        return sorted(self.trace(session)["spans"], key=lambda span: span["startTime"])

    def events(self, number: int, name: str) -> list[dict[str, Any]]:
        """The attributes of the events of a name in a case's session."""
        told = [tags_of(event) for span in self.spans(self.session(number)) for event in span["logs"]]
        return [tags for tags in told if tags.get("event") == name]

    def session(self, number: int) -> str:
        """The session of a case."""
        (found,) = [name for name, case in self.journey.sessions.items() if case == CASES[number]]
        return found


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrived]:
    """Eight conversations: after the first four the collector is killed, and it comes back after the last one."""
    folder, began = tmp_path_factory.mktemp("backends"), time.time()
    quick = folder / "quick.yaml"
    quick.write_text(QUICK, encoding="utf-8")
    with Jaeger(folder) as jaeger, ExitStack() as afterwards:
        gateway = Gateway(folder, [quick], JAEGER_ENDPOINT=jaeger.endpoint, TEMPO_ENDPOINT=jaeger.endpoint)
        afterwards.enter_context(gateway)
        afterwards.callback(gateway.kill)  # it would wait for what it has for nobody
        prometheus = afterwards.enter_context(Prometheus(folder, *gateway.targets()))
        _send_foreign_spans(gateway)
        journey = play(
            CASES, {}, folder, gateway.kill, gateway.__enter__, OTEL_EXPORTER_OTLP_ENDPOINT=gateway.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf", OTEL_SERVICE_NAME=SERVICE,
        )  # fmt: skip
        found = Arrived(journey, jaeger, prometheus, began)
        rows = found.journey.rows("SELECT span_id FROM spans UNION ALL SELECT span_id FROM processing_metrics")
        wait_for("all spans in Jaeger", lambda: found.arrived_spans() >= len(rows))
        yield found


def _send_foreign_spans(gateway: Gateway) -> None:
    command = [
        find_backend("telemetrygen"), "traces", "--otlp-http", "--otlp-insecure", "--rate", "0", "--traces", str(FOREIGN),
        "--otlp-endpoint", gateway.endpoint.removeprefix("http://"), "--service", "foreign",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_each_session_is_one_trace(arrived: Arrived) -> None:
    """Nothing is missing though the collector was killed: a session is one trace with one root and just the spans that the store has."""
    query = "SELECT session_id, span_id FROM spans UNION ALL SELECT session_id, span_id FROM processing_metrics"
    stored = arrived.journey.rows(query)
    for session in arrived.journey.sessions:
        expected = sorted(row["span_id"] for row in stored if row["session_id"] == session)
        assert sorted(span["spanID"] for span in arrived.spans(session)) == expected
        assert [span["operationName"] for span in arrived.spans(session) if not span["references"]] == ["session"]
    assert len(arrived.jaeger.traces(SERVICE, operation="session")) == len(CASES)


def test_stages_stand_in_order_with_their_times(arrived: Arrived) -> None:
    """A corrected voice session has its eight stages in order, each as long as in the store, from both processes."""
    session = arrived.session(0)
    spans = [span for span in arrived.spans(session) if span["operationName"] in VOICE]
    assert [span["operationName"] for span in spans] == VOICE
    rows = arrived.journey.rows(f"SELECT stage, duration_ms FROM processing_metrics WHERE session_id = '{session}'")
    lasted = {row["stage"]: row["duration_ms"] for row in rows}
    assert {span["operationName"]: pytest.approx(span["duration"] / 1000, abs=1) for span in spans} == lasted
    trace = arrived.trace(session)
    processes = {tags_of(trace["processes"][span["processID"]])["service.instance.id"] for span in spans}
    assert len(processes) == 2


def test_corrections_are_events(arrived: Arrived) -> None:
    """A correction is an event in its stage's span, with its type; a session without one has none."""
    found = {
        number: [tags["hitl.correction.type"] for tags in arrived.events(number, names.CORRECTION_EVENT)]
        for number in range(len(CASES))
    }
    assert found == {
        0: ["voice_correction"], 1: [], 2: [], 3: ["text_correction"], 4: ["factual_correction"], 5: ["rejection"],
        6: ["voice_correction"], 7: [],
    }  # fmt: skip


def test_errors_are_errors(arrived: Arrived) -> None:
    """The stage that failed is an error with its type, in Jaeger's own words; the others are none."""
    wrong = {
        (number, span["operationName"])
        for number in range(len(CASES))
        for span in arrived.spans(arrived.session(number))
        if tags_of(span).get("error") or tags_of(span).get("otel.status_code") == "ERROR"
    }
    (without_draft,) = {stage for number, stage in wrong if number == 2 and stage in VOICE}
    assert without_draft == "ai_processing"
    assert (7, "user_delivery") in wrong
    assert {number for number, _ in wrong} == {2, 7}
    failed = next(span for span in arrived.spans(arrived.session(7)) if span["operationName"] == "user_delivery")
    assert tags_of(failed)["error.type"] == "telegram.error.Forbidden"


def test_ids_are_hashed_and_texts_stay_at_home(arrived: Arrived) -> None:
    """Jaeger has the keyed hash of a user, and nowhere the id, a question, a draft, an answer or a bot's token."""
    everything = json.dumps([arrived.trace(session) for session in arrived.journey.sessions])
    (key,) = arrived.journey.folder.glob("*.key")
    hashed = IdHasher(key.read_bytes()).hash
    assert tags_of(arrived.spans(arrived.session(0))[1])[names.USER_HASH] == hashed("user", ANN)
    texts = [text for case in CASES for text in (case.question, case.draft, case.corrected) if text]
    for secret in (*texts, *map(str, (ANN, BOB, MODERATOR)), *TOKENS.values()):
        assert secret not in everything


def test_prometheus_counts_what_the_store_counts(arrived: Arrived) -> None:
    """Stages by the package's metrics and by the collector's span metrics are as many as the rows of the store."""
    rows = arrived.journey.rows("SELECT stage, count(*) AS stages FROM processing_metrics GROUP BY stage")
    expected = {row["stage"]: row["stages"] for row in rows}
    ours = "sum by (hitl_stage_name) (hitl_stage_duration_seconds_count)"
    spans = f'sum by (span_name) (traces_span_metrics_calls_total{{service_name="{SERVICE}",span_name!="session"}})'
    wait_for("the package's metrics", lambda: by_label(arrived.prometheus, ours) == expected)
    counted = by_label(arrived.prometheus, spans)
    assert {stage: counted.get(stage) for stage in expected} == expected


def test_points_of_prometheus_lead_to_their_traces(arrived: Arrived) -> None:
    """An exemplar of a stage's duration names a trace that Jaeger has."""
    series = f'hitl_stage_duration_seconds_bucket{{job="{SERVICE}"}}'

    def exemplars() -> list[dict[str, Any]]:
        return arrived.prometheus.exemplars(series, arrived.began, time.time())

    wait_for("exemplars in Prometheus", lambda: bool(exemplars()))
    for exemplar in exemplars():
        assert arrived.jaeger.trace(exemplar["labels"]["trace_id"]) is not None


def test_foreign_spans_do_no_harm(arrived: Arrived) -> None:
    """Another program's spans through the same collector arrive as they are and are counted as its own."""
    foreign = 'sum(traces_span_metrics_calls_total{service_name="foreign"})'
    assert len(arrived.jaeger.traces("foreign")) == FOREIGN
    assert {span["processID"] for trace in arrived.jaeger.traces("foreign") for span in trace["spans"]} == {"p1"}
    assert arrived.prometheus.query(foreign) in (
        {},
        {frozenset(): 2.0 * FOREIGN},
    )  # counted before the collector was killed


def tags_of(thing: dict[str, Any]) -> dict[str, Any]:
    """The tags of a span, an event or a process."""
    return {tag["key"]: tag["value"] for tag in thing.get("tags", thing.get("fields", ()))}


def by_label(prometheus: Prometheus, expression: str) -> dict[str, float]:
    """The values of an expression that has one label."""
    return {dict(labels).popitem()[1]: value for labels, value in prometheus.query(expression).items() if labels}
