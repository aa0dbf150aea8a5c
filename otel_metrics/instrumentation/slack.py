"""Traces slack-bolt apps: every request of Slack's a session, every call of the Web API a span.

Two ways in: `SlackInstrumentor().instrument()` before the app is made (or `opentelemetry-instrument python bot.py`), and
`traced(App(...))`. What is hooked is what Bolt's own adapters use: `dispatch()`, a global middleware, and the executor,
the error handlers and the lazy listeners of `app.listener_runner`. The bot's own ones are kept and stand behind ours.
"""

import functools
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from slack_bolt import App
from slack_bolt.context.respond import Respond
from slack_bolt.lazy_listener import LazyListenerRunner, ThreadLazyListenerRunner
from slack_bolt.listener.listener_error_handler import ListenerErrorHandler
from slack_bolt.listener.thread_runner import ThreadListenerRunner
from slack_bolt.middleware import Middleware
from slack_bolt.middleware.middleware_error_handler import MiddlewareErrorHandler
from slack_bolt.request import BoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk import WebClient
from slack_sdk.web.base_client import BaseClient
from slack_sdk.webhook import WebhookResponse

from otel_metrics.instrumentation.base import Instrumentor
from otel_metrics.instrumentation.entry_points import WaitingSlackInstrumentor
from otel_metrics.instrumentation.handling import current_handling
from otel_metrics.instrumentation.outbound import outbound
from otel_metrics.instrumentation.slack_requests import PLATFORM, RESPONSE_URL, arguments_of, delivers
from otel_metrics.instrumentation.slack_visits import TracingExecutor, Visit, begin, fail, is_visited

_equipping = threading.Lock()


class SlackInstrumentor(Instrumentor):
    """Traces every `App` and `AsyncApp` that is made from now on, and every Web API client there is."""

    requirements = WaitingSlackInstrumentor.requirements

    def hook(self) -> None:
        """Wraps what every request and every call goes through; the asynchronous half where aiohttp is installed."""
        self.wrap(App, "__init__", making_app(TracingMiddleware))
        self.wrap(App, "dispatch", _dispatching)
        self.wrap(BaseClient, "api_call", _calling)
        try:
            from otel_metrics.instrumentation.slack_async import hook
        except ImportError:  # without aiohttp there is no AsyncApp either
            return
        hook(self)


def traced(app: App) -> App:
    """Traces this app alone; to be called before middlewares are added.

    It sees `client`, `say` and `respond` as listeners are given them, but not calls of other clients.
    """
    app.use(TracingMiddleware(app, clients=True))
    app.dispatch = functools.partial(_dispatching(type(app).dispatch), app)  # type: ignore[method-assign]
    return app


class NotAccepted(Exception):
    """Slack answered a call of a `response_url` with an error status."""


class TracingMiddleware(Middleware):
    """Stands after Bolt's own middlewares: what comes here is verified, and of a workspace that the app knows."""

    def __init__(self, app: App, *, clients: bool = False) -> None:
        self._app = app
        self._clients = clients

    def _equip(self, request: BoltRequest) -> None:
        _equip(self._app)
        if self._clients:
            _trace_client(request)
        _trace_respond(request)

    def process(
        self,
        *,
        req: BoltRequest,
        resp: BoltResponse,  # noqa: ARG002 - Bolt names what it gives
        next: Callable[[], BoltResponse],  # noqa: A002
    ) -> BoltResponse | None:
        """Begins the session of the request."""
        begin(req, lambda: self._equip(req))
        return next()


class TracedWebClient(WebClient):
    """The client that a listener is given."""

    def api_call(self, api_method: str, **kwargs: Any) -> Any:
        """Calls the Web API, as a span."""
        with call_span(api_method, kwargs):
            return super().api_call(api_method, **kwargs)


class TracedRespond(Respond):
    """The `respond()` that a listener is given."""

    def __call__(self, *args: Any, **kwargs: Any) -> WebhookResponse:
        """Answers through the request's `response_url`, as a delivery."""
        refused: WebhookResponse
        try:
            with outbound(PLATFORM, RESPONSE_URL, delivers=True):
                response = super().__call__(*args, **kwargs)
                if response.status_code >= 400:
                    refused = response
                    raise NotAccepted
        except NotAccepted:
            return refused
        return response


class _ErrorHandler(ListenerErrorHandler, MiddlewareErrorHandler):
    """Notes the error, then lets the bot's own handler do what it does."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def handle(self, error: Exception, request: BoltRequest, response: BoltResponse | None) -> None:
        """Passed on."""
        fail(error)
        self._inner.handle(error=error, request=request, response=response)


class _LazyRunner(LazyListenerRunner):
    """Lets lazy listeners run as the bot's own runner does; their errors, which Bolt only logs, are noted."""

    def __init__(self, inner: LazyListenerRunner) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def start(self, function: Callable[..., None], request: BoltRequest) -> None:
        """Passed on; a runner that starts another process is told the function as it is."""
        local = isinstance(self._inner, ThreadLazyListenerRunner)
        executor = getattr(self._inner, "executor", None)
        if isinstance(executor, Executor) and not isinstance(executor, TracingExecutor):
            self._inner.executor = TracingExecutor(executor)  # type: ignore[attr-defined]
        self._inner.start(function=_noting(function) if local else function, request=request)

    def run(self, function: Callable[..., None], request: BoltRequest) -> None:
        """Passed on."""
        self._inner.run(function=_noting(function), request=request)


def call_span(method: str, call: dict[str, Any]) -> outbound:
    """The span of one call of the Web API, and its stage where it delivers something."""
    return outbound(PLATFORM, method, delivers=delivers(method, arguments_of(call), current_handling()))


def making_app(middleware: Callable[[Any], Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Wraps an app's constructor: a middleware of ours is the first after Bolt's own."""

    def around(make: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(make)
        def traced_init(self: Any, *args: Any, **kwargs: Any) -> None:
            if not kwargs.get("name"):  # Bolt takes the name of the file that calls it, which would be this one
                kwargs["name"] = sys._getframe(1).f_code.co_filename.split(os.path.sep)[-1]
            make(self, *args, **kwargs)
            self.use(middleware(self))

        return traced_init

    return around


def _dispatching(dispatch: Callable[..., BoltResponse]) -> Callable[..., BoltResponse]:
    @functools.wraps(dispatch)
    def traced_dispatch(self: App, req: BoltRequest) -> BoltResponse:
        if is_visited(req):
            return dispatch(self, req)
        with Visit(req) as visit:
            response = dispatch(self, req)
            visit.answered(response)
            return response

    return traced_dispatch


def _calling(api_call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(api_call)
    def traced_call(self: BaseClient, api_method: str, **kwargs: Any) -> Any:
        if isinstance(self, TracedWebClient):
            return api_call(self, api_method, **kwargs)
        with call_span(api_method, kwargs):
            return api_call(self, api_method, **kwargs)

    return traced_call


def _noting(function: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(function)  # Bolt looks through it for the names of the arguments
    def noting(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except Exception as error:
            fail(error)
            raise

    return noting


def _equip(app: App) -> None:
    """Puts ours before what the app has now: `app.error` and adapters may have put in others since the last request."""
    runner: ThreadListenerRunner = app.listener_runner
    with _equipping:
        if not isinstance(runner.listener_executor, TracingExecutor):
            runner.listener_executor = TracingExecutor(runner.listener_executor)
        if not isinstance(runner.lazy_listener_runner, _LazyRunner):
            runner.lazy_listener_runner = _LazyRunner(runner.lazy_listener_runner)
        if not isinstance(runner.listener_error_handler, _ErrorHandler):
            runner.listener_error_handler = _ErrorHandler(runner.listener_error_handler)
        # `app.error` sets this one with the other; Bolt offers no other way to it
        handler = getattr(app, "_middleware_error_handler", None)
        if handler is not None and not isinstance(handler, _ErrorHandler):
            app._middleware_error_handler = _ErrorHandler(handler)


def _trace_client(request: BoltRequest) -> None:
    """Gives listeners a client that is traced; one of the bot's own making is left as it is."""
    client = request.context.get("client")
    if type(client) is WebClient:
        traced_client = TracedWebClient(
            token=client.token, base_url=client.base_url, timeout=client.timeout, ssl=client.ssl, proxy=client.proxy,
            headers=client.headers, team_id=client.default_params.get("team_id"), logger=getattr(client, "logger", None),
            retry_handlers=client.retry_handlers,
        )  # fmt: skip
        request.context["client"] = traced_client


def _trace_respond(request: BoltRequest) -> None:
    context = request.context
    if "respond" not in context and context.response_url:
        context["respond"] = TracedRespond(
            response_url=context.response_url, proxy=context.client.proxy, ssl=context.client.ssl
        )
