"""Owns a Slack request on its way through an app: when its session begins, and who keeps it open."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import ContextVar, Token
from typing import Any, Self

from opentelemetry.context import attach, detach
from slack_bolt.response import BoltResponse

from otel_metrics.instrumentation.handling import Handling, current_handling, handle
from otel_metrics.instrumentation.slack_requests import Request, facts_of
from otel_metrics.process import get_metrics_service

_CURRENT: ContextVar["Visit | None"] = ContextVar("otel_metrics.slack_visit", default=None)


class Visit:
    """One request in `dispatch()`. Its session begins when Bolt has verified it, which a middleware of ours tells."""

    __slots__ = ("_handle", "_request", "_token", "handling")

    def __init__(self, request: Request) -> None:
        self.handling: Handling | None = None
        self._request = request
        self._handle: handle | None = None

    def __enter__(self) -> Self:
        self._token: Token[Visit | None] = _CURRENT.set(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        _CURRENT.reset(self._token)
        if self._handle is not None:
            self._handle.__exit__(None, error, None)

    def begin(self) -> None:
        """The request is Slack's own, of a workspace that the app knows."""
        if self._handle is None:
            user_id, channel_id, facts = facts_of(self._request)
            self._handle = handle(user_id, channel_id, facts, subject=self._request)
            self.handling = self._handle.__enter__()

    def answered(self, response: BoltResponse | None) -> None:
        """What `ack("text")` says travels in the answer to Slack's request."""
        if self.handling is not None and response is not None and response.status == 200 and response.body:
            self.handling.delivery_ended(delivered=True)


def begin(request: Request, equip: Callable[[], None]) -> None:
    """Begins the session of the request that is being dispatched, and has everything put in place that it goes through."""
    visit = _CURRENT.get()
    kit = get_metrics_service().kit
    if visit is None or visit._request is not request or kit is None:
        return
    try:
        visit.begin()
        equip()
    except Exception as fault:  # bodies may be of any shape, and the framework of a version that we do not know
        kit.guard.caught("slack", fault)


def is_visited(request: Request) -> bool:
    """Whether this request is being dispatched already, by a hook around this one."""
    visit = _CURRENT.get()
    return visit is not None and visit._request is request


def fail(error: BaseException) -> None:
    """The handler or a middleware of the request raised this."""
    handling = current_handling()
    if handling is not None:
        handling.fail(error)


class TracingExecutor(Executor):
    """The bot's own executor; what it is given while a request is handled runs in that request's session."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hands the call on, with the session of whoever asks for it."""
        handling = current_handling()
        if handling is None:
            return self._inner.submit(fn, *args, **kwargs)

        def in_session() -> Any:
            token = attach(handling.context)
            try:
                return fn(*args, **kwargs)
            finally:
                detach(token)

        handling.hold()
        try:
            future = self._inner.submit(in_session)
        except BaseException:
            handling.release()
            raise
        future.add_done_callback(lambda _: handling.release())
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - as inherited
        """Passed on."""
        self._inner.shutdown(wait, cancel_futures=cancel_futures)
