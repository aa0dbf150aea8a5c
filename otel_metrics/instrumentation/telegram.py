"""Traces python-telegram-bot applications: every update a session, every call of the Bot API a span.

Three ways in: `opentelemetry-instrument python bot.py`, `TelegramInstrumentor().instrument()` before the application is
built, or `traced(ApplicationBuilder().token(...)).build()`. What is hooked is what the framework offers for it: an
`Application` of one's own, an update processor and a rate limiter. The bot's own ones are kept and stand behind ours.
"""

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from telegram import Bot
from telegram.ext import Application, ApplicationBuilder, BaseRateLimiter, BaseUpdateProcessor, ExtBot

from otel_metrics.instrumentation.base import Instrumentor
from otel_metrics.instrumentation.bot_api import PLATFORM, delivers
from otel_metrics.instrumentation.entry_points import WaitingTelegramInstrumentor
from otel_metrics.instrumentation.handling import current_handling, handle, outside_handling
from otel_metrics.instrumentation.outbound import api_call, delivery
from otel_metrics.instrumentation.telegram_updates import facts_of

Builder = TypeVar("Builder", bound=ApplicationBuilder[Any, Any, Any, Any, Any, Any])


class TelegramInstrumentor(Instrumentor):
    """Traces every application and every `ExtBot` that is made from now on."""

    requirements = WaitingTelegramInstrumentor.requirements

    def hook(self) -> None:
        """Wraps the two constructors that every bot goes through."""
        self.wrap(ApplicationBuilder, "build", _building)
        self.wrap(ExtBot, "__init__", _making_bot)


def traced(builder: Builder) -> Builder:
    """Asks for tracing in one line, for who prefers to see it in the code.

    `application = traced(ApplicationBuilder().token(...)).build()`: to be called last, with everything else already told to the builder. A bot that was made by hand and given to the
    builder is made with `rate_limiter=TracingRateLimiter()`.
    """
    _trace_application(builder)
    limiter = builder._rate_limiter
    if not isinstance(limiter, TracingRateLimiter) and not isinstance(builder._bot, Bot):
        builder.rate_limiter(TracingRateLimiter(limiter if isinstance(limiter, BaseRateLimiter) else None))
    return builder


class TracingUpdateProcessor(BaseUpdateProcessor):
    """Begins the session of an update, then lets the bot's own processor do what it does."""

    __slots__ = ("_application", "_inner")

    def __init__(self, inner: BaseUpdateProcessor, application: Application[Any, Any, Any, Any, Any, Any]) -> None:
        super().__init__(inner.max_concurrent_updates)
        self._inner = inner
        self._application = application

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Hands the update on, in its session."""
        with _handling(update, self._application):
            await self._inner.process_update(update, coroutine)

    async def initialize(self) -> None:
        """Passed on."""
        await self._inner.initialize()

    async def shutdown(self) -> None:
        """Passed on."""
        await self._inner.shutdown()


class TracingRateLimiter(BaseRateLimiter[Any]):
    """Sees every call of the Bot API but `getUpdates`, by its method and without the token; limits nothing itself."""

    __slots__ = ("_inner",)

    def __init__(self, inner: BaseRateLimiter[Any] | None = None) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def initialize(self) -> None:
        """Passed on."""
        if self._inner is not None:
            await self._inner.initialize()

    async def shutdown(self) -> None:
        """Passed on."""
        if self._inner is not None:
            await self._inner.shutdown()

    async def process_request(
        self, callback: Callable[..., Coroutine[Any, Any, Any]], args: Any, kwargs: dict[str, Any], endpoint: str,
        data: dict[str, Any], rate_limit_args: Any,
    ) -> Any:  # fmt: skip
        """Calls the API, through the bot's own limiter where it has one: one stage, and a span for every try."""
        if self._inner is None and rate_limit_args is not None:
            raise ValueError("`rate_limit_args` can only be used if a `ExtBot.rate_limiter` is set.")

        async def call(*call_args: Any, **call_kwargs: Any) -> Any:
            with api_call(PLATFORM, endpoint):
                return await callback(*call_args, **call_kwargs)

        async def request() -> Any:
            if self._inner is None:
                return await call(*args, **kwargs)
            return await self._inner.process_request(
                callback=call, args=args, kwargs=kwargs, endpoint=endpoint, data=data, rate_limit_args=rate_limit_args
            )

        if not delivers(endpoint, data, current_handling()):
            return await request()
        with delivery():
            return await request()


class _TracedApplication(Application[Any, Any, Any, Any, Any, Any]):
    """What is added to the bot's application class, whichever it is."""

    __slots__ = ()

    def __init__(self, *args: Any, update_processor: BaseUpdateProcessor, **kwargs: Any) -> None:
        super().__init__(*args, update_processor=TracingUpdateProcessor(update_processor, self), **kwargs)
        if (job_queue := kwargs.get("job_queue")) is not None:
            _keep_out(job_queue.scheduler)

    async def process_update(self, update: object) -> None:
        """Begins a session where the bot calls this itself, past the processor."""
        handling = current_handling()
        if handling is not None and handling.subject is update:
            await super().process_update(update)
            return
        with _handling(update, self):
            await super().process_update(update)

    async def process_error(
        self, update: object | None, error: Exception, job: Any = None, coroutine: Any = None
    ) -> bool:
        """Notes the error of a handler, then lets the error handlers of the bot do what they do."""
        handling = current_handling()
        if handling is not None and job is None and update is handling.subject:
            handling.fail(error)
        return await super().process_error(update, error, job, coroutine)

    def create_task(self, coroutine: Any, update: object | None = None, *, name: str | None = None) -> Any:
        """Keeps the session open until a task that was given its update is done: handlers with `block=False` are such."""
        task = super().create_task(coroutine, update, name=name)
        handling = current_handling()
        if handling is not None and update is not None and update is handling.subject:
            handling.hold()
            task.add_done_callback(lambda _: handling.release())
        return task


def _handling(update: object, application: Application[Any, Any, Any, Any, Any, Any]) -> handle:
    user_id, chat_id, facts = facts_of(update, application)
    return handle(user_id, chat_id, facts, subject=update)


def _trace_application(builder: ApplicationBuilder[Any, Any, Any, Any, Any, Any]) -> None:
    chosen = builder._application_class
    kind = chosen if isinstance(chosen, type) else chosen.value
    if not issubclass(kind, _TracedApplication):
        builder.application_class(_traced_class(kind), builder._application_kwargs)


@functools.cache
def _traced_class(kind: type[Application[Any, Any, Any, Any, Any, Any]]) -> type[_TracedApplication]:
    """A subclass of the bot's application class that passes for it by name."""
    bases = (_TracedApplication,) if kind is Application else (_TracedApplication, kind)
    told = {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, bases, told)


def _building(build: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(build)
    def traced_build(self: ApplicationBuilder[Any, Any, Any, Any, Any, Any]) -> Any:
        _trace_application(self)
        return build(self)

    return traced_build


def _making_bot(make: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(make)
    def traced_init(self: Any, *args: Any, **kwargs: Any) -> None:
        limiter = kwargs.get("rate_limiter")
        if len(args) <= _PLACE_OF_LIMITER and not isinstance(limiter, TracingRateLimiter):
            kwargs["rate_limiter"] = TracingRateLimiter(limiter)
        make(self, *args, **kwargs)

    return traced_init


_PLACE_OF_LIMITER = 11


def _keep_out(scheduler: Any) -> None:
    """Jobs run in a copy of the context of whoever scheduled last: no update's session may be in it."""
    wakeup = scheduler.wakeup

    @functools.wraps(wakeup)
    def wakeup_outside() -> None:
        with outside_handling():
            wakeup()

    scheduler.wakeup = wakeup_outside
