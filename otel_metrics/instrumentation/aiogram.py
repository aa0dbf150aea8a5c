"""Traces aiogram bots: every update a session, every call of the Bot API a span.

Three ways in: `opentelemetry-instrument python bot.py`, `AiogramInstrumentor().instrument()` before the dispatcher is
made, or `dp = traced(Dispatcher())`. What is hooked is what the framework offers for it: middlewares of updates, of
errors and of a bot's session. Those of the bot keep their order and stand behind ours.

A handler may return a method of the Bot API instead of awaiting it. Where aiogram then calls it by itself, that call
belongs to the session like any other. Where it goes out as the HTTP answer to a webhook there is no call: the session
gets a `user_delivery` that takes no time and says `sent_by: webhook_answer`, and whether Telegram took it nobody tells.
What aiogram itself can not read (JSON that is no update) reaches no middleware, so there is no session of it.
"""

import functools
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from aiogram import BaseMiddleware, Bot, Dispatcher
from aiogram.client.session.middlewares.base import BaseRequestMiddleware
from aiogram.client.session.middlewares.manager import RequestMiddlewareManager
from aiogram.dispatcher.event.bases import CancelHandler, SkipHandler
from aiogram.methods import TelegramMethod
from opentelemetry.context import attach, detach

from otel_metrics.instrumentation.aiogram_updates import facts_of
from otel_metrics.instrumentation.base import Instrumentor
from otel_metrics.instrumentation.bot_api import PLATFORM, delivers
from otel_metrics.instrumentation.entry_points import WaitingAiogramInstrumentor
from otel_metrics.instrumentation.handling import Handling, current_handling, handle
from otel_metrics.instrumentation.outbound import api_call, delivery
from otel_metrics.model.records import Json
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.process import get_metrics_service

Traced = TypeVar("Traced", Dispatcher, Bot)


class AiogramInstrumentor(Instrumentor):
    """Traces every dispatcher and every bot that is made from now on."""

    requirements = WaitingAiogramInstrumentor.requirements

    def hook(self) -> None:
        """Wraps the two constructors that every bot goes through."""
        self.wrap(Dispatcher, "__init__", _making)
        self.wrap(Bot, "__init__", _making)


def traced(one: Traced) -> Traced:
    """Asks for tracing in one line, for who prefers to see it in the code.

    `dp = traced(Dispatcher())`: a dispatcher brings its bots along, from its start or their first update on. A bot without a dispatcher, or one that
    calls the API before it starts, is given alone: `bot = traced(Bot(...))`.
    """
    if isinstance(one, Bot):
        _trace_calls(one)
    elif not any(isinstance(present, TracingMiddleware) for present in one.update.outer_middleware):
        # Before ErrorsMiddleware, so that what error handlers send is of the session too.
        theirs: list[Any] = list(one.update.outer_middleware)
        for middleware in theirs:
            one.update.outer_middleware.unregister(middleware)
        for middleware in (TracingMiddleware(), *theirs):
            one.update.outer_middleware.register(middleware)
        one.errors.outer_middleware.register(TracingErrorsMiddleware())
        one.startup.register(_starting)
    return one


class TracingMiddleware(BaseMiddleware):
    """The session of an update, around everything that the dispatcher does with it."""

    async def __call__(self, handler: Callable[..., Any], event: Any, data: dict[str, Any]) -> Any:
        """Hands the update on, in its session."""
        _trace_calls(data.get("bot"))
        user_id, chat_id, facts = _facts(event, data.get("dispatcher"))
        with handle(user_id, chat_id, facts, subject=event) as handling:
            try:
                answer = await handler(event, data)
            except (SkipHandler, CancelHandler) as stop:  # how a bot says that it wants no more of an update
                stopped = stop
            else:
                if handling is not None and isinstance(answer, TelegramMethod):
                    _Answer(answer, handling)
                return answer
        raise stopped


class TracingErrorsMiddleware(BaseMiddleware):
    """Notes the error of a handler, then lets the error handlers of the bot do what they do."""

    async def __call__(self, handler: Callable[..., Any], event: Any, data: dict[str, Any]) -> Any:
        """Hands the error on."""
        handling = current_handling()
        if handling is not None and isinstance(error := getattr(event, "exception", None), Exception):
            handling.fail(error)
        return await handler(event, data)


class TracingRequestMiddleware(BaseRequestMiddleware):
    """Stands before the bot's own middlewares of a session: a stage where a call delivers, however often it is tried."""

    async def __call__(self, make_request: Any, bot: Bot, method: TelegramMethod[Any]) -> Any:
        """Calls the API, through the bot's own middlewares."""
        answer = _answers.pop(id(method), None)
        if answer is None:
            return await _request(make_request, bot, method)
        with answer.call():
            return await _request(make_request, bot, method)


class TracingTriesMiddleware(BaseRequestMiddleware):
    """Stands behind the bot's own middlewares of a session: a span for every request that goes out."""

    async def __call__(self, make_request: Any, bot: Bot, method: TelegramMethod[Any]) -> Any:
        """Makes the request. A long poll is none of the bot's doing, and is not told."""
        name = method.__api_method__
        if name == "getUpdates":
            return await make_request(bot, method)
        with api_call(PLATFORM, name):
            return await make_request(bot, method)


class _Answer:
    """A method that a handler has returned. It may be called until nobody holds it any more, and so long it keeps the session open."""

    def __init__(self, method: TelegramMethod[Any], handling: Handling) -> None:
        self._handling = handling
        self._place = id(method)
        self._delivers = delivers(method.__api_method__, _chat_in(method), handling)
        handling.hold()
        if (earlier := _answers.get(self._place)) is not None:  # the bot keeps this object and returns it each time
            earlier.let_go()
        _answers[self._place] = self
        self._finalizer = weakref.finalize(method, self._dropped)

    def call(self) -> "_InHandling":
        """It is called now: a block in the session that it was returned in, and the end of the wait for it."""
        return _InHandling(self._handling, self.let_go)

    def let_go(self) -> None:
        """The session does not wait for it any more."""
        if self._finalizer.detach() is not None:
            self._handling.release()

    def _dropped(self) -> None:
        """Nobody called it, so it stood in the HTTP answer to a webhook."""
        _answers.pop(self._place, None)
        with _InHandling(self._handling, self._handling.release):
            if self._delivers and not self._handling.ended:
                with self._handling.stage(ProcessingStage.USER_DELIVERY, sent_by="webhook_answer"):
                    self._handling.delivery_ended(delivered=True)


class _InHandling:
    """Runs a block in the context of a session, and something after it."""

    def __init__(self, handling: Handling, after: Callable[[], None]) -> None:
        self._handling, self._after = handling, after

    def __enter__(self) -> None:
        self._token = attach(self._handling.context)

    def __exit__(self, *_: object) -> None:
        detach(self._token)
        self._after()


_answers: dict[int, _Answer] = {}


def _facts(event: object, dispatcher: object) -> tuple[int, int, Json]:
    """What is told of an update; routers and flags are the bot's own and may hold anything."""
    try:
        return facts_of(event, dispatcher)
    except Exception as fault:
        if (kit := get_metrics_service().kit) is not None:
            kit.guard.caught("aiogram_updates", fault, dropped=False)
        return 0, 0, {"platform": PLATFORM, "message_kind": "other"}


async def _request(make_request: Any, bot: Bot, method: TelegramMethod[Any]) -> Any:
    if not delivers(method.__api_method__, _chat_in(method), current_handling()):
        return await make_request(bot, method)
    with delivery():
        return await make_request(bot, method)


def _chat_in(method: TelegramMethod[Any]) -> dict[str, Any]:
    return {"chat_id": getattr(method, "chat_id", None)}


async def _starting(bot: Bot | None = None, bots: tuple[Bot, ...] = ()) -> None:
    """A dispatcher starts: what its bots call from now on is seen, before the first update too."""
    for one in (*bots, bot):
        _trace_calls(one)


def _trace_calls(bot: Bot | None) -> None:
    # A session class of the bot's own may have no middlewares.
    middlewares = getattr(getattr(bot, "session", None), "middleware", None)
    if isinstance(middlewares, RequestMiddlewareManager):
        _keep_places(middlewares)


def _keep_places(middlewares: RequestMiddlewareManager) -> None:
    """First and last of a session's middlewares are ours, wherever the bot has registered its own since."""
    if (
        len(middlewares)
        and type(middlewares[0]) is TracingRequestMiddleware
        and type(middlewares[-1]) is TracingTriesMiddleware
    ):
        return
    ours = (TracingRequestMiddleware, TracingTriesMiddleware)
    present = list(middlewares)
    for one in present:
        middlewares.unregister(one)
    theirs = [one for one in present if not isinstance(one, ours)]
    for one in (TracingRequestMiddleware(), *theirs, TracingTriesMiddleware()):
        middlewares.register(one)


def _making(make: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(make)
    def traced_init(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        traced(self)

    return traced_init
