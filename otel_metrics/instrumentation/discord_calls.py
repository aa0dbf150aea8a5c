"""Owns the trace of the HTTP requests that a Discord client makes, by the `http_trace` that discord.py offers."""

from contextvars import ContextVar
from typing import Any

import aiohttp
import discord

from otel_metrics.instrumentation.discord_events import (
    PLATFORM,
    answers,
    delivers,
    error_of,
    is_answer,
    method_of,
    path_of,
)
from otel_metrics.instrumentation.handling import current_handling
from otel_metrics.instrumentation.outbound import outbound
from otel_metrics.process import get_metrics_service

_CALL: ContextVar["_Call | None"] = ContextVar("otel_metrics.discord_call", default=None)


class _Call:
    """One request on its way."""

    __slots__ = ("method", "open")

    def __init__(self, method: str) -> None:
        self.method = method
        self.open: outbound | None = None

    def begin(self, *, delivering: bool) -> None:
        self.open = outbound(PLATFORM, self.method, delivers=delivering)
        self.open.__enter__()


def tracing(own: aiohttp.TraceConfig | None, client: discord.Client) -> aiohttp.TraceConfig:
    """A trace configuration that sees this client's calls, and calls what the bot's own one has.

    That one stays as it is: it may be in use, and then frozen, or be given to several clients.
    """
    calls = _Calls(client)
    config = aiohttp.TraceConfig() if own is None else aiohttp.TraceConfig(own.trace_config_ctx)  # type: ignore[arg-type]  # any callable will do
    for signal in [name for name in dir(own) if name.startswith("on_")]:
        getattr(config, signal).extend(getattr(own, signal))
    config.on_request_start.append(calls.started)
    config.on_request_chunk_sent.append(calls.sent)
    config.on_request_end.append(calls.ended)
    config.on_request_exception.append(calls.broke)
    return config


class _Calls:
    """What aiohttp tells of requests, each time in the task that makes them."""

    def __init__(self, client: discord.Client) -> None:
        self._client = client

    async def started(self, _session: Any, _context: Any, told: aiohttp.TraceRequestStartParams) -> None:
        path = path_of(told.url.path)
        _CALL.set(None)
        kit = get_metrics_service().kit
        if path is None or kit is None:
            return
        try:
            call = _Call(method_of(told.method, path))
            _CALL.set(call)
            if not is_answer(path):
                call.begin(delivering=delivers(told.method, path, current_handling(), self._client))
        except Exception as fault:
            kit.guard.caught("discord", fault)

    async def sent(self, _session: Any, _context: Any, told: aiohttp.TraceRequestChunkSentParams) -> None:
        call = _CALL.get()
        if call is not None and call.open is None:
            call.begin(delivering=answers(told.chunk))

    async def ended(self, _session: Any, _context: Any, told: aiohttp.TraceRequestEndParams) -> None:
        _end(error_of(told.response.status) if told.response.status >= 400 else None)

    async def broke(self, _session: Any, _context: Any, told: aiohttp.TraceRequestExceptionParams) -> None:
        _end(told.exception)


def _end(error: BaseException | None) -> None:
    call = _CALL.get()
    if call is not None and call.open is not None:
        call.open.__exit__(None if error is None else type(error), error, None)
    _CALL.set(None)
