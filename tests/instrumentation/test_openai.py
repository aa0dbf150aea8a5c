"""Calls of the real OpenAI client: children of their stage, which has their tokens, model and cost, in anybody's provider."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from support.openai_api import API_KEY, ModelApi
from support.stores import lines, only_row, rows

import otel_metrics
from otel_metrics import MetricsService
from otel_metrics.recording.current import current_session
from otel_metrics.testing import temporary_service

openai = pytest.importorskip("openai")
instrumentation = pytest.importorskip("opentelemetry.instrumentation.genai.openai")

QUESTION = "the-text-that-a-user-asked"
MODEL = "gpt-4o-mini"
PRICE = 120 * 0.15e-6 + 30 * 0.6e-6


@dataclass
class Session:
    """The session of an update that somebody handles."""

    session_id: str
    user_id: int = 5
    chat_id: int = 6

    def hand_over(self) -> None: ...


@pytest.fixture
def api() -> Iterator[ModelApi]:
    """The model's API on loopback."""
    with ModelApi() as running:
        yield running


@pytest.fixture(params=["ours", "before", "after"])
def traced(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MetricsService]:
    """A service in our provider, or in a user's that was there before; the client is instrumented before or after it."""
    instrumentor = instrumentation.OpenAIInstrumentor()
    if request.param == "before":
        trace.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    if request.param == "after":
        instrumentor.instrument()
    with temporary_service(tmp_path) as service:
        if request.param != "after":
            instrumentor.instrument()
        yield service
        instrumentor.uninstrument()


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[MetricsService]:
    """A service in our own provider, with the client instrumented."""
    with temporary_service(tmp_path) as service:
        instrumentation.OpenAIInstrumentor().instrument()
        yield service
        instrumentation.OpenAIInstrumentor().uninstrument()


def client(api: ModelApi) -> Any:
    return openai.OpenAI(base_url=api.url, api_key=API_KEY, max_retries=0)


def ask(api: ModelApi, model: str = MODEL, **more: Any) -> Any:
    """One chat completion."""
    with client(api) as one:
        return one.chat.completions.create(model=model, messages=[{"role": "user", "content": QUESTION}], **more)


def usage(stage: dict[str, Any]) -> dict[str, Any]:
    """What a stage's row says that its calls used."""
    return {
        name.removeprefix("hitl.usage."): value
        for name, value in (stage["attributes"] or {}).items()
        if name.startswith("hitl.usage.")
    }


def test_call_is_a_child_of_its_stage_which_has_its_usage(traced: MetricsService, api: ModelApi) -> None:
    """A call inside a stage is the stage's child, in the session's trace; the stage has its tokens, models, provider and cost."""
    session_id = otel_metrics.create_session(5, 6)
    with otel_metrics.timer(session_id, 5, 6, "ai_processing"):
        ask(api)
    stage, call = only_row(traced, "processing_metrics"), only_row(traced, "spans")
    assert (call["parent_span_id"], call["session_id"]) == (stage["span_id"], session_id)
    assert "trace_id" not in lines(traced, "span")[0]  # it is the session's
    assert usage(stage) == {
        "calls": 1, "input_tokens": 120, "output_tokens": 30, "provider": "openai", "request_model": MODEL,
        "response_model": "gpt-4o-mini-2024-07-18", "cost.amount": pytest.approx(PRICE), "cost.currency": "USD",
        "cost.source": "genai-prices",
    }  # fmt: skip


def test_call_outside_any_stage_gets_one(traced: MetricsService, api: ModelApi) -> None:
    """A call in a session and outside of any stage is inside an `ai_processing` stage that begins and ends with it."""
    session_id = otel_metrics.create_session(5, 6)
    token = current_session.set(Session(session_id))
    ask(api)
    current_session.reset(token)
    stage, call = only_row(traced, "processing_metrics"), only_row(traced, "spans")
    assert (stage["stage"], stage["session_id"], stage["user_id"], stage["chat_id"]) == (
        "ai_processing",
        session_id,
        5,
        6,
    )
    assert (call["parent_span_id"], call["session_id"]) == (stage["span_id"], session_id)
    assert "trace_id" not in lines(traced, "span")[0]  # it is the session's
    assert (stage["start_time"], stage["end_time"]) == (call["start_time"], call["end_time"])
    assert usage(stage)["input_tokens"] == 120
    assert rows(traced, "running") == []


def test_call_outside_any_session_stays_what_it_is(traced: MetricsService, api: ModelApi) -> None:
    """A call in no session makes no stage and no session."""
    ask(api)
    assert rows(traced, "processing_metrics") == rows(traced, "sessions") == rows(traced, "spans") == []
