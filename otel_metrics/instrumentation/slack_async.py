"""Traces slack-bolt's `AsyncApp` as `slack` does its `App`; a module of its own, since it needs aiohttp."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.respond.async_respond import AsyncRespond
from slack_bolt.lazy_listener.async_runner import AsyncLazyListenerRunner
from slack_bolt.lazy_listener.asyncio_runner import AsyncioLazyListenerRunner
from slack_bolt.listener.async_listener_completion_handler import AsyncListenerCompletionHandler
from slack_bolt.listener.async_listener_error_handler import AsyncListenerErrorHandler
from slack_bolt.listener.async_listener_start_handler import AsyncListenerStartHandler
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.middleware.async_middleware_error_handler import AsyncMiddlewareErrorHandler
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_base_client import AsyncBaseClient
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook import WebhookResponse

from otel_metrics.instrumentation.base import Instrumentor
from otel_metrics.instrumentation.handling import current_handling
from otel_metrics.instrumentation.outbound import outbound
from otel_metrics.instrumentation.slack import NotAccepted, call_span, making_app
from otel_metrics.instrumentation.slack_requests import PLATFORM, RESPONSE_URL
from otel_metrics.instrumentation.slack_visits import Visit, begin, fail, is_visited


def hook(instrumentor: Instrumentor) -> None:
    """Wraps what every request of an `AsyncApp` and every call of an asynchronous client goes through."""
    instrumentor.wrap(AsyncApp, "__init__", making_app(TracingAsyncMiddleware))
    instrumentor.wrap(AsyncApp, "async_dispatch", _dispatching)
    instrumentor.wrap(AsyncBaseClient, "api_call", _calling)


def traced_async(app: AsyncApp) -> AsyncApp:
    """Traces this app alone; to be called before middlewares are added."""
    app.use(TracingAsyncMiddleware(app, clients=True))
    app.async_dispatch = functools.partial(_dispatching(type(app).async_dispatch), app)  # type: ignore[method-assign]
    return app


class TracingAsyncMiddleware(AsyncMiddleware):
    """Stands after Bolt's own middlewares: what comes here is verified, and of a workspace that the app knows."""

    def __init__(self, app: AsyncApp, *, clients: bool = False) -> None:
        self._app = app
        self._clients = clients

    def _equip(self, request: AsyncBoltRequest) -> None:
        _equip(self._app)
        if self._clients:
            _trace_client(request)
        _trace_respond(request)

    async def async_process(
        self,
        *,
        req: AsyncBoltRequest,
        resp: BoltResponse,  # noqa: ARG002 - Bolt names what it gives
        next: Callable[[], Awaitable[BoltResponse]],  # noqa: A002
    ) -> BoltResponse | None:
        """Begins the session of the request."""
        begin(req, lambda: self._equip(req))
        return await next()


class TracedAsyncWebClient(AsyncWebClient):
    """The client that a listener is given."""

    async def api_call(self, api_method: str, **kwargs: Any) -> Any:
        """Calls the Web API, as a span."""
        with call_span(api_method, kwargs):
            return await super().api_call(api_method, **kwargs)


class TracedAsyncRespond(AsyncRespond):
    """The `respond()` that a listener is given."""

    async def __call__(self, *args: Any, **kwargs: Any) -> WebhookResponse:
        """Answers through the request's `response_url`, as a delivery."""
        refused: WebhookResponse
        try:
            with outbound(PLATFORM, RESPONSE_URL, delivers=True):
                response = await super().__call__(*args, **kwargs)
                if response.status_code >= 400:
                    refused = response
                    raise NotAccepted
        except NotAccepted:
            return refused
        return response


class _Around:
    """Ours before the bot's own handler or runner."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _StartHandler(_Around, AsyncListenerStartHandler):
    """Keeps the session open until the listener is done: it runs in a task of its own, Bolt answers before."""

    async def handle(self, request: AsyncBoltRequest, response: BoltResponse | None) -> None:
        """Passed on."""
        handling = current_handling()
        if handling is not None:
            handling.hold()
        await self._inner.handle(request=request, response=response)


class _CompletionHandler(_Around, AsyncListenerCompletionHandler):
    """Lets go of the session when the listener is done."""

    async def handle(self, request: AsyncBoltRequest, response: BoltResponse | None) -> None:
        """Passed on."""
        handling = current_handling()
        try:
            await self._inner.handle(request=request, response=response)
        finally:
            if handling is not None:
                handling.release()


class _ErrorHandler(_Around, AsyncListenerErrorHandler, AsyncMiddlewareErrorHandler):
    """Notes the error, then lets the bot's own handler do what it does."""

    async def handle(self, error: Exception, request: AsyncBoltRequest, response: BoltResponse | None) -> None:
        """Passed on."""
        fail(error)
        await self._inner.handle(error=error, request=request, response=response)


class _LazyRunner(_Around, AsyncLazyListenerRunner):
    """Lets lazy listeners run as the bot's own runner does; their errors, which Bolt only logs, are noted."""

    def start(self, function: Callable[..., Awaitable[None]], request: AsyncBoltRequest) -> None:
        """Passed on; a runner that starts another process is told the function as it is."""
        if not isinstance(self._inner, AsyncioLazyListenerRunner):
            self._inner.start(function=function, request=request)
            return
        handling = current_handling()
        if handling is not None:
            handling.hold()
        self._inner.start(function=_noting(function, None if handling is None else handling.release), request=request)

    async def run(self, function: Callable[..., Awaitable[None]], request: AsyncBoltRequest) -> None:
        """Passed on."""
        await self._inner.run(function=_noting(function, None), request=request)


def _dispatching(
    dispatch: Callable[..., Coroutine[Any, Any, BoltResponse]],
) -> Callable[..., Coroutine[Any, Any, BoltResponse]]:
    @functools.wraps(dispatch)
    async def traced_dispatch(self: AsyncApp, req: AsyncBoltRequest) -> BoltResponse:
        if is_visited(req):
            return await dispatch(self, req)
        with Visit(req) as visit:
            response = await dispatch(self, req)
            visit.answered(response)
            if visit.handling is not None:
                # The listener's task may not have begun yet; it does so in the loop's next turn, and before this call
                visit.handling.hold()
                asyncio.get_running_loop().call_soon(visit.handling.release)
            return response

    return traced_dispatch


def _calling(api_call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(api_call)
    async def traced_call(self: AsyncBaseClient, api_method: str, **kwargs: Any) -> Any:
        if isinstance(self, TracedAsyncWebClient):
            return await api_call(self, api_method, **kwargs)
        with call_span(api_method, kwargs):
            return await api_call(self, api_method, **kwargs)

    return traced_call


def _noting(
    function: Callable[..., Awaitable[None]], done: Callable[[], None] | None
) -> Callable[..., Awaitable[None]]:
    @functools.wraps(function)  # Bolt looks through it for the names of the arguments
    async def noting(*args: Any, **kwargs: Any) -> None:
        try:
            await function(*args, **kwargs)
        except Exception as error:
            fail(error)
            raise
        finally:
            if done is not None:
                done()

    return noting


def _equip(app: AsyncApp) -> None:
    """Puts ours before what the app has now: `app.error` may have put in others since the last request."""
    runner = app.listener_runner
    if not isinstance(runner.listener_start_handler, _StartHandler):
        runner.listener_start_handler = _StartHandler(runner.listener_start_handler)
    if not isinstance(runner.listener_completion_handler, _CompletionHandler):
        runner.listener_completion_handler = _CompletionHandler(runner.listener_completion_handler)
    if not isinstance(runner.lazy_listener_runner, _LazyRunner):
        runner.lazy_listener_runner = _LazyRunner(runner.lazy_listener_runner)
    if not isinstance(runner.listener_error_handler, _ErrorHandler):
        runner.listener_error_handler = _ErrorHandler(runner.listener_error_handler)
    # `app.error` sets this one with the other; Bolt offers no other way to it
    handler = getattr(app, "_async_middleware_error_handler", None)
    if handler is not None and not isinstance(handler, _ErrorHandler):
        app._async_middleware_error_handler = _ErrorHandler(handler)


def _trace_client(request: AsyncBoltRequest) -> None:
    """Gives listeners a client that is traced; one of the bot's own making is left as it is."""
    client = request.context.get("client")
    if type(client) is AsyncWebClient:
        request.context["client"] = TracedAsyncWebClient(
            token=client.token, base_url=client.base_url, timeout=client.timeout, ssl=client.ssl, proxy=client.proxy,
            session=client.session, trust_env_in_session=client.trust_env_in_session, headers=client.headers,
            team_id=client.default_params.get("team_id"), logger=getattr(client, "logger", None), retry_handlers=client.retry_handlers,
        )  # fmt: skip


def _trace_respond(request: AsyncBoltRequest) -> None:
    context = request.context
    if "respond" not in context and context.response_url:
        context["respond"] = TracedAsyncRespond(
            response_url=context.response_url, proxy=context.client.proxy, ssl=context.client.ssl
        )
