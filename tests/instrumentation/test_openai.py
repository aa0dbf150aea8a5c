"""Calls of the real OpenAI client: children of their stage, which has their tokens, model and cost, in anybody's provider."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach, set_value
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.desk import desk
from support.openai_api import API_KEY, QUESTION, SECRET_ANSWER, TOKENS, ModelApi
from support.stores import lines, only_row, rows

import otel_metrics
from otel_metrics import MetricsService
from otel_metrics.model import names
from otel_metrics.model.identity import root_span_id_of, trace_id_of
from otel_metrics.telemetry.calls import adopt
from otel_metrics.testing import temporary_service

openai = pytest.importorskip("openai")
instrumentation = pytest.importorskip("opentelemetry.instrumentation.genai.openai")

MODEL = "gpt-4o-mini"
PRICE = 120 * 0.15e-6 + 30 * 0.6e-6


@dataclass
class Session:
    """The session of an update that somebody handles."""

    session_id: str
    user_id: int = 5
    chat_id: int = 6
    ended: bool = False
    platform: str = ""

    def hand_over(self) -> None: ...

    def stage_began(self, start_ns: int) -> None: ...

    def stage_failed(self, error: BaseException) -> None: ...


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
    token = attach(set_value(names.HANDLING_CONTEXT, Session(session_id)))
    ask(api)
    detach(token)
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
    assert call["attributes"]["gen_ai.conversation.id"] == session_id
    assert rows(traced, "running") == []


def test_call_inside_a_handling_takes_over_from_it(ours: MetricsService, api: ModelApi) -> None:
    """Where an update is handled, its handling is told that another stage begins; one that has ended gets no stage."""

    class Handling(Session):
        platform = "telegram"
        told = 0

        def stage_began(self, start_ns: int) -> None:
            self.told += 1

    handling = Handling(ours.create_session(5, 6), platform="telegram")
    token = attach(set_value(names.HANDLING_CONTEXT, handling))
    ask(api)
    handling.ended = True
    ask(api)
    detach(token)
    stage = only_row(ours, "processing_metrics")
    assert (stage["stage"], stage["session_id"], stage["metadata"]) == (
        "ai_processing", handling.session_id, {"platform": "telegram"}
    )  # fmt: skip
    assert handling.told == 1


def test_span_that_can_not_be_moved_is_left_alone() -> None:
    """A span of another make than the SDK's keeps its trace and its parent."""

    class OtherSpan(trace.NonRecordingSpan):
        __slots__ = ()

    own, other = trace.SpanContext(1, 2, is_remote=False), trace.SpanContext(3, 4, is_remote=False)
    span = OtherSpan(own)
    assert adopt(span, other) is False
    assert span.get_span_context() == own


def test_call_outside_any_session_stays_what_it_is(traced: MetricsService, api: ModelApi) -> None:
    """A call in no session makes no stage and no session."""
    ask(api)
    assert rows(traced, "processing_metrics") == rows(traced, "sessions") == rows(traced, "spans") == []


def in_stage(service: MetricsService, stage: str = "ai_processing", **metadata: Any) -> Any:
    """A stage of a session of its own."""
    return service.timer(service.create_session(5, 6), 5, 6, stage, **metadata)


@pytest.mark.parametrize("stage", ["correction_ai", "admin_review", "something_of_my_own"])
def test_calls_of_any_stage_add_up(ours: MetricsService, api: ModelApi, stage: str) -> None:
    """Several calls in one stage, of whatever name, are summed; the models are those of the last one."""
    with in_stage(ours, stage):
        ask(api)
        ask(api)
        ask(api, "gpt-4o")
    found = usage(only_row(ours, "processing_metrics"))
    assert (found["calls"], found["input_tokens"], found["output_tokens"]) == (3, 360, 90)
    assert (found["request_model"], found["cost.amount"]) == (
        "gpt-4o",
        pytest.approx(2 * PRICE + 120 * 2.5e-6 + 30 * 10e-6),
    )


def test_concurrent_calls_of_threads_add_up(ours: MetricsService, api: ModelApi) -> None:
    """Calls that run at once in threads, with the stage's context, are all in its sums."""
    with in_stage(ours), ThreadPoolExecutor(8) as pool:
        copies = [copy_context() for _ in range(24)]
        list(pool.map(lambda context: context.run(ask, api), copies))
    assert usage(only_row(ours, "processing_metrics"))["input_tokens"] == 24 * TOKENS[0]
    assert len(rows(ours, "spans")) == 24


def test_sessions_at_once_keep_their_own_sums(ours: MetricsService, api: ModelApi) -> None:
    """Updates that are handled at once in one event loop each have their own calls in their own stage."""

    async def handle(model: Any, calls: int) -> None:
        async with in_stage(ours):
            await asyncio.gather(*(chat(model) for _ in range(calls)))

    async def handle_all() -> None:
        async with openai.AsyncOpenAI(base_url=api.url, api_key=API_KEY, max_retries=0) as model:
            await asyncio.gather(*(handle(model, calls) for calls in range(1, 6)))

    asyncio.run(handle_all())
    sums = sorted(usage(stage)["calls"] for stage in rows(ours, "processing_metrics"))
    assert sums == [1, 2, 3, 4, 5]
    spans = rows(ours, "spans")
    for stage in rows(ours, "processing_metrics"):
        assert usage(stage)["calls"] == sum(span["parent_span_id"] == stage["span_id"] for span in spans)


async def chat(model: Any, **more: Any) -> Any:
    """One completion by the asynchronous client."""
    return await model.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": QUESTION}], **more
    )  # fmt: skip


def test_asynchronous_calls_outside_stages_get_one_each(ours: MetricsService, api: ModelApi) -> None:
    """Two calls at once in a session, outside of any stage: a stage for each, neither inside the other."""
    session = Session(ours.create_session(5, 6))

    async def handle() -> None:
        attach(set_value(names.HANDLING_CONTEXT, session))
        async with openai.AsyncOpenAI(base_url=api.url, api_key=API_KEY, max_retries=0) as model:
            await asyncio.gather(chat(model), chat(model))

    asyncio.run(handle())
    stages, spans = rows(ours, "processing_metrics"), rows(ours, "spans")
    root = f"{root_span_id_of(trace_id_of(session.session_id)):016x}"
    assert [stage["parent_span_id"] for stage in stages] == [root, root]
    assert {span["parent_span_id"] for span in spans} == {stage["span_id"] for stage in stages}


@pytest.mark.parametrize("kind", ["completions", "responses"])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_streamed_answer(ours: MetricsService, api: ModelApi, kind: str, told: bool, inside: bool) -> None:
    """A streamed answer's tokens come with its end; where they never come the stage has none, and no cost."""
    api.fault = "" if told else "no usage"
    session_id = ours.create_session(5, 6)
    token = None if inside else attach(set_value(names.HANDLING_CONTEXT, Session(session_id)))
    with ours.timer(session_id, 5, 6, "ai_processing") if inside else nullcontext(), client(api) as model:
        if kind == "completions":
            options = {"stream_options": {"include_usage": True}} if told else {}
            stream = model.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": QUESTION}], stream=True, **options
            )  # fmt: skip
        else:
            stream = responses(model).create(model=MODEL, input=QUESTION, stream=True)
        assert len(list(stream)) > 3
    if token is not None:
        detach(token)
    stage, span = only_row(ours, "processing_metrics"), only_row(ours, "spans")
    found = usage(stage)
    assert (found["calls"], found.get("input_tokens"), found.get("output_tokens")) == (
        1,
        *(TOKENS if told else (None, None)),
    )
    assert ("cost.amount" in found) is told
    assert span["parent_span_id"] == stage["span_id"]


def responses(model: Any) -> Any:
    """The newer API, where the client has it."""
    if not hasattr(model, "responses"):
        pytest.skip("this client has no responses")
    return model.responses


def test_stream_that_nobody_reads_to_its_end(ours: MetricsService, api: ModelApi) -> None:
    """A stream that is closed early ends its call; what it used is unknown."""
    with in_stage(ours), client(api) as model:
        stream = model.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": QUESTION}], stream=True
        )
        next(iter(stream))
        stream.close()
    found = usage(only_row(ours, "processing_metrics"))
    assert found["calls"] == 1
    assert not {"input_tokens", "output_tokens", "cost.amount"} & set(found)


def test_stream_that_breaks(ours: MetricsService, api: ModelApi) -> None:
    """A stream that the network cuts fails its own call as the client says it, and nothing of ours."""
    api.fault = "cut"
    session = Session(ours.create_session(5, 6))
    token = attach(set_value(names.HANDLING_CONTEXT, session))
    with pytest.raises(Exception, match=r"(?i)incomplete|closed|connection|peer"), client(api) as model:
        list(model.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": QUESTION}], stream=True))
    detach(token)
    stage = only_row(ours, "processing_metrics")
    assert not stage["success"]
    assert stage["error_type"] == only_row(ours, "spans")["error_type"]
    assert rows(ours, "running") == []


def test_call_that_outlives_its_stage(ours: MetricsService, api: ModelApi) -> None:
    """A call that ends after its stage changes nothing in it; its own span has the tokens, and the cost question counts them."""
    api.gate = threading.Event()
    with in_stage(ours):
        thread = threading.Thread(target=copy_context().run, args=(ask, api))
        thread.start()
        assert api.arrived.acquire(timeout=10)
    api.gate.set()
    thread.join(10)
    stage, span = only_row(ours, "processing_metrics"), only_row(ours, "spans")
    assert usage(stage) == {}
    assert span["parent_span_id"] == stage["span_id"]
    assert ours.answers.cost(hours=1)["input_tokens"] == TOKENS[0]


def test_call_after_its_stage_gets_a_stage_beside_it(ours: MetricsService, api: ModelApi) -> None:
    """Work that goes on with the context of an ended stage, while the session's update is handled, gets a stage beside that."""
    session = Session(ours.create_session(5, 6))
    token = attach(set_value(names.HANDLING_CONTEXT, session))
    with ours.timer(session.session_id, 5, 6, "query_received"):
        kept = copy_context()
    kept.run(ask, api)
    detach(token)
    received, made = sorted(rows(ours, "processing_metrics"), key=lambda row: row["start_time"])
    assert (received["stage"], made["stage"]) == ("query_received", "ai_processing")
    assert received["parent_span_id"] == made["parent_span_id"]
    assert (usage(received), usage(made)["calls"]) == ({}, 1)


def test_call_after_its_session_stays_what_it_is(ours: MetricsService, api: ModelApi) -> None:
    """Work that outlives its session gets no stage."""
    session = Session(ours.create_session(5, 6))
    token = attach(set_value(names.HANDLING_CONTEXT, session))
    ours.end_session(session.session_id)
    ask(api)
    detach(token)
    assert rows(ours, "processing_metrics") == []


@pytest.mark.parametrize(
    ("status", "name"), [(429, "RateLimitError"), (500, "InternalServerError"), (401, "AuthenticationError")]
)
def test_refused_call(ours: MetricsService, api: ModelApi, status: int, name: str) -> None:
    """A refused call fails the stage that was made for it by its kind, reaches the bot unchanged, and costs nothing."""
    session = Session(ours.create_session(5, 6))
    api.fault = status
    token = attach(set_value(names.HANDLING_CONTEXT, session))
    with pytest.raises(getattr(openai, name)):
        ask(api)
    detach(token)
    stage, span = only_row(ours, "processing_metrics"), only_row(ours, "spans")
    assert not stage["success"]
    assert name in stage["error_type"] or stage["error_type"] == str(status)
    assert (span["success"], span["error_type"]) == (0, stage["error_type"])
    assert usage(stage) == {"calls": 1, "provider": "openai", "request_model": MODEL}


def test_refusal_before_an_answer_leaves_the_cost_known(ours: MetricsService, api: ModelApi) -> None:
    """A call that is tried again after a refusal costs what the answer cost."""
    with in_stage(ours):
        api.fault = 429
        with pytest.raises(openai.RateLimitError):
            ask(api)
        api.fault = ""
        ask(api)
    found = usage(only_row(ours, "processing_metrics"))
    assert (found["calls"], found["input_tokens"], found["cost.amount"]) == (2, 120, pytest.approx(PRICE))


def test_refusal_before_an_answer_leaves_the_whole_cost_known(ours: MetricsService, api: ModelApi) -> None:
    """The cost question, too, takes a call that was refused and told no tokens as free."""
    test_refusal_before_an_answer_leaves_the_cost_known(ours, api)
    answer = ours.answers.cost(hours=1)
    assert (answer["calls"], answer["cost"]) == (1, pytest.approx(PRICE))


@pytest.mark.parametrize("fault", ["malformed", "odd usage", "no usage"])
def test_odd_answers(ours: MetricsService, api: ModelApi, fault: str) -> None:
    """An answer without usage, with impossible numbers or of another shape leaves tokens and cost unknown."""
    api.fault = fault
    with in_stage(ours), suppress(AttributeError, TypeError):  # what the client itself makes of such an answer
        ask(api)
    found = usage(only_row(ours, "processing_metrics"))
    assert found["calls"] == 1
    assert not {"input_tokens", "output_tokens", "cost.amount"} & set(found)


def test_tool_call(ours: MetricsService, api: ModelApi) -> None:
    """An answer that asks for a tool counts as any other."""
    api.fault = "tool"
    tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
    with in_stage(ours):
        answer = ask(api, tools=[tool])
    assert answer.choices[0].finish_reason == "tool_calls"
    assert usage(only_row(ours, "processing_metrics"))["output_tokens"] == TOKENS[1]


def test_model_without_a_price(ours: MetricsService, api: ModelApi) -> None:
    """One call of a model that no list knows makes the stage's cost unknown; its tokens are known."""
    with in_stage(ours):
        ask(api)
        ask(api, "a-model-of-my-own")
    found = usage(only_row(ours, "processing_metrics"))
    assert found["input_tokens"] == 2 * TOKENS[0]
    assert "cost.amount" not in found


def test_embeddings_count_with_their_price(ours: MetricsService, api: ModelApi) -> None:
    """A call for embeddings, which has input alone, is summed with what it cost."""
    with in_stage(ours), client(api) as model:
        model.embeddings.create(model="text-embedding-3-small", input=QUESTION, encoding_format="float")
    found = usage(only_row(ours, "processing_metrics"))
    assert (found["input_tokens"], found.get("output_tokens")) == (120, None)
    assert found["cost.amount"] == pytest.approx(120 * 0.02e-6)


def test_figures_by_hand_win(ours: MetricsService, api: ModelApi) -> None:
    """Tokens and a model that the bot writes itself stand alone in its stage; nothing is added to them."""
    with in_stage(ours, model="mine") as stage:
        ask(api)
        stage.metadata["tokens_used"] = 7
    row = only_row(ours, "processing_metrics")
    assert set(usage(row)) == {"calls", "provider", "cost.amount", "cost.currency", "cost.source"}
    (facts,) = ours.sql("SELECT model, input_tokens, output_tokens, total_tokens FROM processing_metrics")
    assert facts == {"model": "mine", "input_tokens": None, "output_tokens": None, "total_tokens": 7}


def test_cost_by_hand_wins(ours: MetricsService, api: ModelApi) -> None:
    """A cost that the bot writes itself stands alone, in its own currency."""
    with in_stage(ours, cost=0.5, currency="EUR"):
        ask(api)
    (facts,) = ours.sql("SELECT cost, currency, input_tokens FROM processing_metrics")
    assert facts == {"cost": 0.5, "currency": "EUR", "input_tokens": 120}


@pytest.mark.parametrize("by_hand", [{}, {"tokens_used": 150, "model": MODEL}])
def test_no_token_counts_twice(ours: MetricsService, api: ModelApi, by_hand: dict[str, Any]) -> None:
    """The cost question counts each call once, by its span, whether the stage has its sums, figures by hand or both."""
    with in_stage(ours, **by_hand):
        ask(api)
        with trace.get_tracer("my bot").start_as_current_span("draft again"):
            ask(api)
    answer = ours.answers.cost(hours=1)
    assert (answer["calls"], answer["input_tokens"], answer["output_tokens"]) == (2, 240, 60)
    assert answer["cost"] == pytest.approx(2 * PRICE)
    (by_stage,) = answer["by_stage"]
    assert (by_stage["stage"], by_stage["calls"]) == ("ai_processing", 2)
    assert ours.get_dashboard_data()["processing_by_stage"]["ai_processing"]["count"] == 1


def test_session_command_tells_each_call_once(ours: MetricsService, api: ModelApi) -> None:
    """`otel-metrics session` names each call once, also one inside a span of the bot's own."""
    with in_stage(ours) as stage, trace.get_tracer("my bot").start_as_current_span("draft"):
        ask(api)
    ours.flush()
    status, said = desk("session", stage.session_id, "--database", ours.settings.database)
    assert status == 0
    assert "gpt-4o-mini-2024-07-18: 1 call, 120 tokens in, 30 tokens out" in said
    assert said.count("120 tokens in") == 1


def test_calls_seen_by_two_libraries_count_once(ours: MetricsService, api: ModelApi) -> None:
    """Where a framework's span tells the same call again, the stage counts it once; a tool's or an agent's span is no call."""
    tracer = trace.get_tracer("some framework")
    again = {"gen_ai.operation.name": "chat", "gen_ai.request.model": MODEL}
    agent = {"gen_ai.operation.name": "invoke_agent"}
    with (
        in_stage(ours),
        tracer.start_as_current_span("agent", attributes=agent) as outermost,
        tracer.start_as_current_span("chat", attributes=again) as outer,
    ):
        ask(api)
        for span in (outer, outermost):
            span.set_attributes({"gen_ai.usage.input_tokens": 120, "gen_ai.usage.output_tokens": 30})
    found = usage(only_row(ours, "processing_metrics"))
    assert (found["calls"], found["input_tokens"]) == (1, 120)


def test_nothing_private_is_written(ours: MetricsService, api: ModelApi, tmp_path: Path) -> None:
    """No text, key, header or error message of a model's API stands in any file."""
    with in_stage(ours):
        ask(api)
        api.fault = 500
        with pytest.raises(openai.InternalServerError):
            ask(api)
    ours.flush()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert MODEL.encode() in written
    for private in (QUESTION, SECRET_ANSWER, API_KEY, "Bearer"):
        assert private.encode() not in written


@pytest.mark.parametrize("captured", [False, True])
def test_texts_that_a_backend_gets_are_not_written_here(
    tmp_path: Path, api: ModelApi, monkeypatch: pytest.MonkeyPatch, captured: bool
) -> None:
    """Who has the instrumentation put texts on spans has them in the files only where our content capture is on too."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    seen = InMemorySpanExporter()
    with temporary_service(tmp_path, capture_content=captured) as service:
        instrumentation.OpenAIInstrumentor().instrument()
        trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(seen))
        with in_stage(service):
            ask(api)
        instrumentation.OpenAIInstrumentor().uninstrument()
        service.flush()
        written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert any(QUESTION in span.to_json() for span in seen.get_finished_spans())
    assert (QUESTION.encode() in written, SECRET_ANSWER.encode() in written) == (captured, captured)


def test_recording_switched_off(tmp_path: Path, api: ModelApi) -> None:
    """With recording switched off calls go through as without us."""
    instrumentation.OpenAIInstrumentor().instrument()
    with temporary_service(tmp_path, enabled=False) as service:
        token = attach(set_value(names.HANDLING_CONTEXT, Session(service.create_session(5, 6))))
        with in_stage(service):
            assert ask(api).usage.total_tokens == sum(TOKENS)
        ask(api)
        detach(token)
    instrumentation.OpenAIInstrumentor().uninstrument()
    assert list(tmp_path.iterdir()) == []


def test_forked_child_leaves_open_calls_to_its_parent(ours: MetricsService, api: ModelApi) -> None:
    """A process that forks while a call is open writes the call's stage once."""
    api.gate = threading.Event()
    session = Session(ours.create_session(5, 6))
    token = attach(set_value(names.HANDLING_CONTEXT, session))
    with client(api) as model:
        stream = None

        def call() -> None:
            nonlocal stream
            stream = model.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": QUESTION}], stream=True,
                stream_options={"include_usage": True},
            )  # fmt: skip

        api.gate.set()
        call()
        child = os.fork()
        if child == 0:
            stream.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        list(stream)
    detach(token)
    stage = only_row(ours, "processing_metrics")
    assert usage(stage)["input_tokens"] == 120
