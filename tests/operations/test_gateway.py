"""What leaves the real collector with gateway.yaml and its layers: redacted, counted, sampled, queued while nobody is there."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from support.gateway import CONFIG, Gateway, wait_for
from support.otlp import GrpcReceiver

from otel_metrics.model import names

# Credentials of nobody, in the form that each service gives them. MARK tells them, and texts, wherever they come out.
MARK = "Zq7Marked"
TELEGRAM = f"1234567890:AA{MARK}abcdefghijklmnopqrstuvwxyz"
SECRETS = {
    "telegram": TELEGRAM,
    "telegram in an address": f"https://api.telegram.org/bot{TELEGRAM}/sendMessage",
    "telegram's file": f"https://api.telegram.org/file/bot{TELEGRAM}/voice/1.oga",
    "telegram, quoted": f"https://api.telegram.org/bot{TELEGRAM.replace(':', '%3A')}/getUpdates",
    "telegram, a server of one's own": f"http://127.0.0.1:8081/bot1001:{MARK}/getMe",
    "slack bot": f"xoxb-123456789012-{MARK}",
    "slack app": f"xapp-1-A0123-{MARK}",
    "slack webhook": f"https://hooks.slack.com/services/T000/B000/{MARK}",
    "discord bot": f"MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDE.{MARK}-abcdefghijklmnopqrst",
    "discord webhook": f"https://discord.com/api/webhooks/123456/{MARK}",
    "discord interaction": f"https://discord.com/api/v10/interactions/123456/{MARK}/callback",
    "model provider": f"sk-proj-{MARK}abcdefghij",
    "bearer": f"Authorization: Bearer {MARK}.abcdefghijkl",
}
TEXT_KEYS = [
    *(key for key in names.GEN_AI_TEXTS), "gen_ai.prompt.0.content", "gen_ai.completion.0.content", "exception.message",
    "exception.stacktrace", *(f"hitl.metadata.{key}" for key in ("text", "draft", "question", "answer")),
    "http.request.header.authorization", "http.response.header.set-cookie",
]  # fmt: skip
KEPT = {
    names.SESSION_ID: "6925a1b000000aaaa000000000000001",
    names.STAGE: "ai_processing",
    names.GEN_AI_REQUEST_MODEL: "gpt-4o-mini",
    names.METADATA_PREFIX + "prompt_version": "v3",
    **dict.fromkeys(names.GEN_AI_NO_TEXTS, "greeting"),
}
NUMBERS = {names.GEN_AI_INPUT: 12, names.USAGE_OUTPUT: 34}


def attributes(**values: Any) -> list[KeyValue]:
    return [KeyValue(key=key, value=value_of(value)) for key, value in values.items()]


def value_of(value: Any) -> AnyValue:
    if isinstance(value, bool | int):
        return AnyValue(int_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[value_of(one) for one in value]))
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=attributes(**value)))
    return AnyValue(string_value=value)


def request_of(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    batch = request.resource_spans.add()
    batch.resource.attributes.extend(attributes(**{"service.name": "a-bot", **(resource or {})}))
    scope = batch.scope_spans.add()
    for number, given in enumerate(spans, 1):
        span = scope.spans.add(
            trace_id=bytes.fromhex(given.get("trace_id", "0" * 31 + "1")), span_id=number.to_bytes(8), kind=1,
            name=given.get("name", "ai_processing"), start_time_unix_nano=1_000_000_000, end_time_unix_nano=3_000_000_000,
        )  # fmt: skip
        span.attributes.extend(attributes(**given.get("attributes", {})))
        if "event" in given:
            span.events.add(name="exception").attributes.extend(attributes(**given["event"]))
        if "message" in given:
            span.status.message, span.status.code = given["message"], 2
    return request


def marked_metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    batch = request.resource_metrics.add()
    batch.resource.attributes.extend(attributes(**{"service.name": "a-bot", "process.command_line": TELEGRAM}))
    metric = batch.scope_metrics.add().metrics.add(name="hitl.marked", unit="1")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, AGGREGATION_TEMPORALITY_CUMULATIVE
    point = metric.sum.data_points.add(as_int=1, time_unix_nano=2_000_000_000)
    point.attributes.extend(attributes(**{"url.full": SECRETS["telegram in an address"]}))
    return request


def trace_ids() -> list[str]:
    """A hundred ids as random as a hash wants them, the same each time."""
    return [hashlib.sha256(bytes([number])).hexdigest()[:32] for number in range(100)]


def decided(gateway: Gateway, decision: str = "") -> float:
    """How many traces were decided on so far, for Jaeger and for Tempo each."""
    name = "otelcol_processor_tail_sampling_global_count_traces_sampled{"
    lines = [line for line in gateway.telemetry().splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'decision="{decision}' in line)


def kept_of_sessions(folder: Path, jaeger: GrpcReceiver, tempo: GrpcReceiver) -> set[bytes]:
    """The traces that a new gateway keeps of a hundred sessions, where it is to keep four in ten."""
    spans = [{"trace_id": one, "attributes": {names.SESSION_ID: one}} for one in trace_ids()]
    variables = {"SAMPLING_WAIT": "1s", "SAMPLING_SESSIONS_PERCENT": "40", **addresses(jaeger, tempo)}
    with Gateway(folder, [CONFIG / "sampling.yaml"], **variables) as gateway:
        gateway.send("/v1/traces", request_of(*spans).SerializeToString())
        wait_for("the decision", lambda: decided(gateway) == 2 * len(spans))
        wait_for("what it keeps", lambda: len(jaeger.spans()) == decided(gateway, "sampled") / 2)
        return {span.trace_id for span in jaeger.spans()}


@pytest.fixture
def backends() -> Iterator[tuple[GrpcReceiver, GrpcReceiver]]:
    with GrpcReceiver() as jaeger, GrpcReceiver() as tempo:
        yield jaeger, tempo


def addresses(jaeger: GrpcReceiver, tempo: GrpcReceiver) -> dict[str, str]:
    return {"JAEGER_ENDPOINT": jaeger.endpoint, "TEMPO_ENDPOINT": tempo.endpoint}


def test_no_token_and_no_text_passes(tmp_path: Path, backends: tuple[GrpcReceiver, GrpcReceiver]) -> None:
    """Wherever a credential or a text stands in a span, a resource or a metric, no backend and no page gets it."""
    jaeger, tempo = backends
    spans: list[dict[str, Any]] = [{"attributes": {key: f"{MARK} wrote this"}} for key in TEXT_KEYS]
    for secret in SECRETS.values():
        spans += [
            {"attributes": {"url.full": secret}},
            {"attributes": {"argv": ["python", secret], "nested": {"deep": [secret]}}},
            {"event": {"note": f"while calling {secret} again"}},
            {"message": f"could not reach {secret}"},
        ]
    spans += [{"name": f"POST {address}"} for address in SECRETS.values() if "/" in address and "slack" not in address]
    spans.append({"attributes": KEPT | NUMBERS})
    request = request_of(*spans, resource={"process.command_args": ["bot.py", TELEGRAM]})
    with Gateway(tmp_path, **addresses(jaeger, tempo)) as gateway:
        gateway.send("/v1/traces", request.SerializeToString())
        gateway.send("/v1/metrics", marked_metrics().SerializeToString())
        wait_for("all spans", lambda: len(jaeger.spans()) == len(tempo.spans()) == len(spans))
        wait_for("both kinds of metrics", lambda: "hitl_marked" in (page := gateway.page()) and "span_metrics" in page)
        page, log = gateway.page(), gateway.log
    for one in (jaeger, tempo):
        leaked = [span for span in one.spans() if MARK.encode() in span.SerializeToString()]
        assert not leaked
        assert MARK.encode() not in one.raw
    assert MARK not in page
    assert MARK not in log


def test_what_is_no_secret_stays_as_it_was(tmp_path: Path, backends: tuple[GrpcReceiver, GrpcReceiver]) -> None:
    """Redaction leaves ids, models, versions of prompts and token counts alone, and numbers stay numbers."""
    jaeger, tempo = backends
    sent = {"attributes": KEPT | NUMBERS | {"url.full": "https://example.org/bottles/1", "list": ["a", "b"]}}
    with Gateway(tmp_path, **addresses(jaeger, tempo)) as gateway:
        gateway.send("/v1/traces", request_of(sent).SerializeToString())
        wait_for("the span", lambda: len(jaeger.spans()) == 1)
    [span] = jaeger.spans()
    assert list(span.attributes) == attributes(**sent["attributes"])
    assert span.name == "ai_processing"


def test_a_sidecar_redacts_and_sends_all_to_its_gateway(tmp_path: Path) -> None:
    """With sidecar.yaml spans and metrics go on by OTLP, redacted before they leave, and no span is counted there."""
    sent = [{"attributes": {"url.full": SECRETS["telegram in an address"]}}]
    with GrpcReceiver() as elsewhere:
        variables = {"GATEWAY_ENDPOINT": elsewhere.endpoint, "GATEWAY_INSECURE": "true"}
        with Gateway(tmp_path, [CONFIG / "sidecar.yaml"], **variables) as sidecar:
            sidecar.send("/v1/traces", request_of(*sent).SerializeToString())
            sidecar.send("/v1/metrics", marked_metrics().SerializeToString())
            wait_for("spans and metrics", lambda: bool(elsewhere.spans() and elsewhere.metric("hitl.marked")))
        assert elsewhere.metric_names() == {"hitl.marked"}
        assert len(elsewhere.spans()) == 1
        assert MARK.encode() not in elsewhere.raw


def test_sampling_decides_alike_for_spans_that_come_late(
    tmp_path: Path, backends: tuple[GrpcReceiver, GrpcReceiver]
) -> None:
    """Every session is kept, of other traces a share; what comes after the decision goes the way of its trace."""
    jaeger, tempo = backends
    session, other = {names.SESSION_ID: "a-session"}, {"http.route": "/health"}
    ids = trace_ids()
    early = [{"trace_id": one, "attributes": session if place % 2 else other} for place, one in enumerate(ids)]
    sessions = {bytes.fromhex(one) for one in ids[1::2]}
    layers = [CONFIG / "sampling.yaml"]
    with Gateway(tmp_path, layers, **addresses(jaeger, tempo), SAMPLING_WAIT="1s") as gateway:
        gateway.send("/v1/traces", request_of(*early).SerializeToString())
        wait_for("the first decision", lambda: decided(gateway) == 2 * len(ids))
        wait_for("what it keeps", lambda: len(jaeger.spans()) + len(tempo.spans()) == decided(gateway, "sampled"))
        kept = {span.trace_id for span in jaeger.spans()}
        assert sessions < kept
        assert len(kept - sessions) < 50 / 2
        late = [{"trace_id": one, "name": "late", "attributes": {}} for one in ids]
        gateway.send("/v1/traces", request_of(*late).SerializeToString())
        wait_for("the late spans", lambda: min(len(jaeger.spans()), len(tempo.spans())) >= 2 * len(kept))
    for one in (jaeger, tempo):
        assert {span.trace_id for span in one.spans() if span.name == "late"} == kept
        assert len(one.spans()) == 2 * len(kept)


def test_sampling_keeps_sessions_without_what_it_remembers(
    tmp_path: Path, backends: tuple[GrpcReceiver, GrpcReceiver]
) -> None:
    """A gateway that was started anew, and remembers no decision, decides for a session's later spans as the one before."""
    jaeger, tempo = backends
    before = kept_of_sessions(tmp_path / "before", jaeger, tempo)
    jaeger.traces.clear()
    tempo.traces.clear()
    assert before == kept_of_sessions(tmp_path / "after", jaeger, tempo)
    assert 20 < len(before) < 60


def test_a_backend_that_is_switched_off_costs_the_other_nothing(tmp_path: Path) -> None:
    """With no-jaeger.yaml nothing waits for Jaeger, however long it is away, and Tempo gets all."""
    with GrpcReceiver() as tempo:
        layers = [CONFIG / "switches" / "no-jaeger.yaml"]
        with Gateway(tmp_path, layers, TEMPO_ENDPOINT=tempo.endpoint) as gateway:
            gateway.send("/v1/traces", request_of({}, {}).SerializeToString())
            wait_for("both spans", lambda: len(tempo.spans()) == 2)
            queues = [line for line in gateway.telemetry().splitlines() if "exporter_queue_size{" in line]
        assert queues
        assert not any("jaeger" in line for line in queues)


def test_what_clickhouse_does_not_take_waits_on_disk(
    tmp_path: Path, backends: tuple[GrpcReceiver, GrpcReceiver]
) -> None:
    """With clickhouse.yaml the gateway starts while ClickHouse is away, keeps its spans, and serves the others."""
    jaeger, tempo = backends
    away = "tcp://127.0.0.1:9"
    layers = [CONFIG / "clickhouse.yaml"]
    with Gateway(tmp_path, layers, **addresses(jaeger, tempo), CLICKHOUSE_ENDPOINT=away) as gateway:
        gateway.send("/v1/traces", request_of({}, {}).SerializeToString())
        wait_for("both spans", lambda: len(jaeger.spans()) == len(tempo.spans()) == 2)
        assert 'otelcol_exporter_queue_size{data_type="traces",exporter="clickhouse"' in gateway.telemetry()
    assert any("clickhouse" in path.name for path in (tmp_path / "queue").iterdir())
