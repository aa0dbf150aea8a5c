"""Owns what a bot's calls of its platform's API look like: a span each, and a stage where a person gets something."""

from types import TracebackType

from opentelemetry.context import attach, detach, get_current
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from otel_metrics.instrumentation.handling import Handling, current_handling
from otel_metrics.model import names
from otel_metrics.model.records import ProcessingMetric
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.process import get_metrics_service
from otel_metrics.recording.timer import ProcessingTimer, type_of

_ERROR = Status(StatusCode.ERROR)


class api_call:  # noqa: N801 - it reads as a phrase: with api_call("telegram", "sendMessage")
    """One request to a platform's API as a CLIENT span: its method and the kind of its error, no text, no token, no URL."""

    __slots__ = ("_method", "_platform", "_span", "_token")

    def __init__(self, platform: str, method: str) -> None:
        self._platform = platform
        self._method = method
        self._span: Span | None = None

    def __enter__(self) -> None:
        kit = get_metrics_service().kit
        if kit is None:
            return
        try:
            self._span = kit.tracer.start_span(
                f"{self._platform} {self._method}", kind=SpanKind.CLIENT,
                attributes={names.PLATFORM: self._platform, names.API_METHOD: self._method},
            )  # fmt: skip
            self._token = attach(set_span_in_context(self._span))
        except Exception as fault:
            kit.guard.caught("api_call", fault)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is None:
            return
        detach(self._token)
        if error is not None:
            self._span.set_attribute(names.ERROR_TYPE, type_of(error))
            self._span.set_status(_ERROR)
        self._span.end()


class delivery:  # noqa: N801 - as above
    """The stage `user_delivery` of the update that is being handled, around one or several tries of a call.

    There is none outside of a handling, and none inside a `user_delivery` that somebody else has opened. An error marks
    the stage failed by its kind, since a platform's message may quote the text, and passes unchanged.
    """

    __slots__ = ("_handling", "_stage")

    def __enter__(self) -> None:
        self._handling: Handling | None = current_handling()
        self._stage: ProcessingTimer | None = None
        if self._handling is not None and not _delivering():
            self._stage = self._handling.stage(ProcessingStage.USER_DELIVERY)
            self._stage.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handling is None:
            return
        self._handling.delivery_ended(delivered=error is None)
        if self._stage is not None:
            if error is not None:
                self._stage.fail(type_of(error), type_of(error))
                self._handling.stage_failed(error)
            self._stage.__exit__(None, None, None)


class outbound:  # noqa: N801 - as above
    """A call of a platform's API: `with outbound("telegram", "sendMessage", delivers=True):`.

    `delivers` says whether the person whose session it is gets something to see by it.
    """

    __slots__ = ("_call", "_delivery")

    def __init__(self, platform: str, method: str, *, delivers: bool) -> None:
        self._call = api_call(platform, method)
        self._delivery = delivery() if delivers else None

    def __enter__(self) -> None:
        if self._delivery is not None:
            self._delivery.__enter__()
        self._call.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call.__exit__(kind, error, trace)
        if self._delivery is not None:
            self._delivery.__exit__(kind, error, trace)


def _delivering() -> bool:
    stage = get_current().get(names.STAGE_CONTEXT)
    return isinstance(stage, ProcessingMetric) and stage.stage == ProcessingStage.USER_DELIVERY and not stage.end_time
