"""Whoever set OpenTelemetry up, and when: each span stands once in the local store and once in what the user's exporter sent."""

import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.openai_api import API_KEY, QUESTION, SECRET_ANSWER, ModelApi
from support.otlp import HttpReceiver
from support.processes import environment
from support.stores import rows

import otel_metrics
from otel_metrics.model.identity import root_span_id_of, trace_id_of

pytest.importorskip("openai")
pytest.importorskip("opentelemetry.instrumentation.genai.openai")
INSTRUMENT = Path(sys.executable).with_name("opentelemetry-instrument")

BOT = f"""
    import os, openai, otel_metrics
    from opentelemetry import trace
    from opentelemetry.context import attach, detach, set_value
    from otel_metrics.model import names
    model = openai.OpenAI(base_url=os.environ["MODEL_API"], api_key="{API_KEY}")
    ask = lambda: model.chat.completions.create(model="gpt-4o-mini", messages=[{{"role": "user", "content": "{QUESTION}"}}])

    class Session:
        user_id, chat_id, ended, platform = 5, 6, False, ""
        stage_began = stage_failed = lambda self, what: None
        def __init__(self, session_id):
            self.session_id = session_id

    for _ in range(2):
        session_id = otel_metrics.create_session(5, 6)
        with otel_metrics.timer(session_id, 5, 6, "ai_processing"):
            ask()
        token = attach(set_value(names.HANDLING_CONTEXT, Session(session_id)))
        ask()
        detach(token)
        with otel_metrics.timer(session_id, 5, 6, "user_delivery"), trace.get_tracer("bot").start_as_current_span("send"):
            pass
        otel_metrics.end_session(session_id)
"""
INSTRUMENTED = """
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    OpenAIInstrumentor().instrument()
"""
CONFIGURED = """
    import otel_metrics
    otel_metrics.configure()
"""
OWN_PROVIDER = """
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
"""
OWN_PROCESSOR = """
    import otel_metrics
    otel_metrics.configure()
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    own = BatchSpanProcessor(OTLPSpanExporter(os.environ["OWN_ENDPOINT"]))
    trace.get_tracer_provider().add_span_processor(own)
"""
PARTS_OF_A_SESSION = Counter({"ai_processing": 2, "user_delivery": 1, "chat gpt-4o-mini": 2, "send": 1, "session": 1})


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """The backend that the user sends to."""
    with HttpReceiver() as running:
        yield running


@pytest.fixture
def variables(receiver: HttpReceiver) -> Iterator[dict[str, str]]:
    """What every way has in its environment."""
    with ModelApi() as api:
        yield {
            "MODEL_API": api.url, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none",
        }  # fmt: skip


def play(folder: Path, variables: dict[str, str], *pieces: str, zero_code: bool = False) -> str:
    """Runs a program made of pieces to its end, by hand or under `opentelemetry-instrument`; gives what it complained of."""
    code = "\n".join(textwrap.dedent(piece) for piece in ("import os", *pieces))
    command = [*([str(INSTRUMENT)] if zero_code else []), sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment(folder, **variables), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def assert_each_once(folder: Path, sent: list[Any]) -> None:
    """Each part of both sessions stands once in the store and once in what was sent, in one trace for each session."""
    stages, spans = rows(folder / "metrics.db", "processing_metrics"), rows(folder / "metrics.db", "spans")
    kept = [(row["session_id"], row.get("stage") or row["name"], row["span_id"]) for row in stages + spans]
    arrived = [(span.trace_id.hex(), span.name, span.span_id.hex()) for span in sent]
    for found in (kept, arrived):
        sessions = {session_id for session_id, _, _ in found}
        assert len(sessions) == 2
        for session_id in sessions:
            assert Counter(name for one, name, _ in found if one == session_id) == PARTS_OF_A_SESSION
    assert sorted(kept) == sorted(arrived)
    ids = {span.span_id for span in sent}
    assert all(span.parent_span_id in ids for span in sent if span.name != "session")
    for row in stages:
        expected = 120 if row["stage"] == "ai_processing" else None
        assert (row["attributes"] or {}).get("hitl.usage.input_tokens") == expected


@pytest.mark.parametrize("way", ["configure", "before", "after", "after_configure_is_not_called", "processor"])
def test_set_up_in_code(way: str, tmp_path: Path, receiver: HttpReceiver, variables: dict[str, str]) -> None:
    """`configure()` alone, a provider of the user's set before or after us, or a processor of the user's in our provider."""
    if way == "processor":
        variables["OWN_ENDPOINT"] = f"{variables.pop('OTEL_EXPORTER_OTLP_ENDPOINT')}/v1/traces"
    pieces = {
        "configure": (CONFIGURED, INSTRUMENTED),
        "before": (OWN_PROVIDER, CONFIGURED, INSTRUMENTED),
        "after": ("import otel_metrics", INSTRUMENTED, OWN_PROVIDER, CONFIGURED),
        "after_configure_is_not_called": ("import otel_metrics", INSTRUMENTED, OWN_PROVIDER),
        "processor": (OWN_PROCESSOR, INSTRUMENTED),
    }[way]
    ends = "own.shutdown()" if way == "processor" else ""
    assert play(tmp_path, variables, *pieces, BOT, ends) == ""
    assert_each_once(tmp_path, receiver.spans())


def test_provider_set_after_configure_is_refused_aloud(
    tmp_path: Path, receiver: HttpReceiver, variables: dict[str, str]
) -> None:
    """A provider set after `configure()` is refused by OpenTelemetry, which says so; ours goes on, and sends by itself."""
    complaint = play(tmp_path, variables, CONFIGURED, INSTRUMENTED, OWN_PROVIDER, BOT)
    assert "Overriding of current TracerProvider is not allowed" in complaint
    assert_each_once(tmp_path, receiver.spans())


@pytest.mark.skipif(not INSTRUMENT.exists(), reason="no opentelemetry-distro")
@pytest.mark.parametrize("exporters", ["otel_metrics,otlp", "otlp", "otel_metrics,otlp,console"])
def test_environment_alone(exporters: str, tmp_path: Path, receiver: HttpReceiver, variables: dict[str, str]) -> None:
    """Under `opentelemetry-instrument` with environment variables alone; not a line of the bot sets anything up."""
    play(tmp_path, {**variables, "OTEL_TRACES_EXPORTER": exporters}, BOT, zero_code=True)
    assert_each_once(tmp_path, receiver.spans())


@pytest.mark.skipif(not INSTRUMENT.exists(), reason="no opentelemetry-distro")
def test_environment_without_a_backend(tmp_path: Path, receiver: HttpReceiver, variables: dict[str, str]) -> None:
    """`OTEL_TRACES_EXPORTER=otel_metrics` keeps everything here and sends nothing."""
    play(tmp_path, {**variables, "OTEL_TRACES_EXPORTER": "otel_metrics"}, BOT, zero_code=True)
    assert receiver.spans() == []
    assert len(rows(tmp_path / "metrics.db", "processing_metrics")) == 6
    assert len(rows(tmp_path / "metrics.db", "spans")) == 8


CONFIG_FILE = """
file_format: "1.0"
tracer_provider:
  processors:
    - batch:
        exporter:
          otlp_http:
            endpoint: {endpoint}/v1/traces
"""
WITH_OURS = """    - simple:
        exporter:
          otel_metrics: {}
"""


@pytest.mark.skipif(
    not INSTRUMENT.exists() or find_spec("opentelemetry.configuration") is None, reason="no opentelemetry-configuration"
)
@pytest.mark.parametrize("more", ["", WITH_OURS], ids=["otlp", "otlp and ours"])
def test_config_file(more: str, tmp_path: Path, receiver: HttpReceiver, variables: dict[str, str]) -> None:
    """With `OTEL_CONFIG_FILE`, whether or not the file names our exporter."""
    path = tmp_path / "otel.yaml"
    path.write_text(CONFIG_FILE.format(endpoint=receiver.endpoint) + more, encoding="utf-8")
    play(tmp_path, {"MODEL_API": variables["MODEL_API"], "OTEL_CONFIG_FILE": str(path)}, BOT, zero_code=True)
    assert_each_once(tmp_path, receiver.spans())


def test_nothing_private_leaves_or_is_written(
    tmp_path: Path, receiver: HttpReceiver, variables: dict[str, str]
) -> None:
    """No text and no key is in what was sent, nor in any file."""
    play(tmp_path, variables, CONFIGURED, INSTRUMENTED, BOT)
    written = receiver.raw + b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"gpt-4o-mini" in receiver.raw
    for private in (QUESTION, SECRET_ANSWER, API_KEY):
        assert private.encode() not in written


class OthersTracer(trace.Tracer):
    """A tracer of another maker's, around the SDK's: it asks its own id generator, never ours."""

    def __init__(self, inside: trace.Tracer) -> None:
        self._inside = inside

    def start_span(self, *arguments: Any, **more: Any) -> trace.Span:
        return self._inside.start_span(*arguments, **more)

    def start_as_current_span(self, *arguments: Any, **more: Any) -> Any:
        return self._inside.start_as_current_span(*arguments, **more)


class OthersProvider(TracerProvider):
    """A provider that hands out such tracers."""

    def get_tracer(self, *arguments: Any, **more: Any) -> trace.Tracer:
        return OthersTracer(super().get_tracer(*arguments, **more))


def test_without_our_id_generator_there_is_one_trace_for_each_session(tmp_path: Path) -> None:
    """Where a session's root can not get its own id, that is said once, and the root still is in the session's trace."""
    seen = InMemorySpanExporter()
    provider = OthersProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(seen))
    trace.set_tracer_provider(provider)
    service = otel_metrics.configure(database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl")
    sessions = []
    with pytest.warns(RuntimeWarning, match="id generator") as warned:
        for _ in range(3):
            sessions.append(service.create_session(5, 6))
            with service.timer(sessions[-1], 5, 6, "ai_processing"):
                pass
            service.end_session(sessions[-1])
    assert len(warned) == 1
    spans = seen.get_finished_spans()
    assert [span.name for span in spans] == ["ai_processing", "session"] * 3
    assert [f"{span.context.trace_id:032x}" for span in spans] == [one for one in sessions for _ in range(2)]
    kept = rows(service, "spans")
    assert [(row["name"], row["session_id"], row["span_id"], row["parent_span_id"]) for row in kept] == [
        ("session", one, f"{root_span_id_of(trace_id_of(one)):016x}", "") for one in sessions
    ]
    assert [row["outcome"] for row in rows(service, "sessions")] == ["delivered"] * 3


def test_same_spans_sent_by_two_is_said_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: HttpReceiver
) -> None:
    """Who adds an OTLP exporter to our provider while we send by OTLP is told that spans would arrive twice."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    otel_metrics.configure(database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl")
    provider: Any = trace.get_tracer_provider()
    processor = SimpleSpanProcessor(OTLPSpanExporter())
    with pytest.warns(RuntimeWarning, match="arrive twice"):
        provider.add_span_processor(processor)
    provider.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))  # another kind is nobody's fault
