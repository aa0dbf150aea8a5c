"""Whose tracer provider it is: the bot's own one before or after, one that is given, and one with ids of its own."""

import warnings

import pytest

pytest.importorskip("telegram")

from opentelemetry import trace
from opentelemetry.sdk.trace import Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.telegram_bot import builder, message, play, sessions, stages, told
from telegram import Update
from telegram.ext import TypeHandler

from otel_metrics.instrumentation.telegram import TelegramInstrumentor

EXPECTED = ["query_received", "session", "telegram sendMessage", "user_delivery"]


async def echo(update, context):
    await update.message.reply_text(update.message.text)


@pytest.fixture
def variables(monkeypatch, tmp_path):
    """The store is named by the environment; the first update opens it."""
    monkeypatch.setenv("METRICS_DATABASE", str(tmp_path / "metrics.db"))
    monkeypatch.setenv("METRICS_LOG_FILE", str(tmp_path / "metrics.jsonl"))
    yield
    if TelegramInstrumentor().is_instrumented_by_opentelemetry:
        TelegramInstrumentor().uninstrument()


def a_provider(kind=TracerProvider):
    exported = InMemorySpanExporter()
    provider = kind(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    return provider, exported


def one_update(api):
    application = builder(api).build()
    application.add_handler(TypeHandler(Update, echo))
    api.push(message=message("hello"))
    play(application, api)


def check(service, exported):
    """Every span of the session arrived once, here and there, in one trace."""
    (one,) = sessions(service)
    theirs = [span for span in exported.get_finished_spans() if span.attributes.get("session.id") == one["session_id"]]
    assert sorted(span.name for span in theirs) == EXPECTED
    assert {f"{span.context.trace_id:032x}" for span in theirs} == {one["session_id"]}
    assert told(service) == ["text delivered"]
    assert [one["stage"] for one in stages(service)] == ["query_received", "user_delivery"]
    names = [row["name"] for row in service.sql("SELECT name FROM spans WHERE session_id IS NOT NULL ORDER BY name")]
    assert names == ["session", "telegram sendMessage"]
    return theirs


def test_a_provider_that_was_there_before(variables, telegram_api):
    """The bot sets its provider, then instruments: each span is once in the store and once at its exporter."""
    from otel_metrics import get_metrics_service

    provider, exported = a_provider()
    trace.set_tracer_provider(provider)
    TelegramInstrumentor().instrument()
    one_update(telegram_api)
    check(get_metrics_service(), exported)


def test_a_provider_that_comes_after(variables, telegram_api):
    """The bot instruments, then sets its provider: it is found when the first update comes."""
    from otel_metrics import get_metrics_service

    TelegramInstrumentor().instrument()
    provider, exported = a_provider()
    trace.set_tracer_provider(provider)
    one_update(telegram_api)
    check(get_metrics_service(), exported)


def test_a_provider_that_is_given(variables, telegram_api):
    """`instrument(tracer_provider=...)` records there, and leaves the process's provider alone."""
    from otel_metrics import get_metrics_service

    provider, exported = a_provider()
    TelegramInstrumentor().instrument(tracer_provider=provider)
    one_update(telegram_api)
    check(get_metrics_service(), exported)
    assert trace.get_tracer_provider() is not provider


def test_no_provider_at_all(variables, telegram_api):
    """Where nobody sets one, the first update configures recording from the environment."""
    from otel_metrics import get_metrics_service

    TelegramInstrumentor().instrument()
    one_update(telegram_api)
    assert told(get_metrics_service()) == ["text delivered"]


class Foreign(trace.Tracer):
    """A tracer that wraps the SDK's, as some vendors' do: its span ids can not be chosen."""

    def __init__(self, inner: Tracer) -> None:
        self._inner = inner

    def start_span(self, *args, **kwargs):
        return self._inner.start_span(*args, **kwargs)

    def start_as_current_span(self, *args, **kwargs):
        return self._inner.start_as_current_span(*args, **kwargs)


class ForeignProvider(TracerProvider):
    def get_tracer(self, *args, **kwargs):
        return Foreign(super().get_tracer(*args, **kwargs))


def test_a_provider_with_ids_of_its_own(variables, telegram_api):
    """Where a session's span can not get its id, that is said once, and the session is one trace all the same."""
    from otel_metrics import get_metrics_service

    provider, exported = a_provider(ForeignProvider)
    trace.set_tracer_provider(provider)
    TelegramInstrumentor().instrument()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        one_update(telegram_api)
        one_update(telegram_api)
    said = [str(one.message) for one in caught if "id generator" in str(one.message)]
    assert len(said) == 1
    service = get_metrics_service()
    found = [one["session_id"] for one in sessions(service)]
    assert told(service) == ["text delivered", "text delivered"]
    spans = [span for span in exported.get_finished_spans() if "session.id" in span.attributes]
    assert sorted(span.name for span in spans) == sorted(EXPECTED * 2)
    assert {f"{span.context.trace_id:032x}" for span in spans} == set(found)
    assert len(service.sql("SELECT 1 FROM spans WHERE name = 'session'")) == 2
