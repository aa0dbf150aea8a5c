"""Owns the model calls in progress: which stage each belongs to, and the stage of a call that was made outside of any."""

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import Span, SpanContext, get_current_span, set_span_in_context

from otel_metrics.model import names
from otel_metrics.model.records import ProcessingMetric
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.recording.current import session_of
from otel_metrics.recording.kit import RecordingKit
from otel_metrics.recording.timer import bring_usage, mark_failed, measure, new_stage, start_stage
from otel_metrics.recording.usage import PriceList, Usage, tokens_of

_CALLS = frozenset({"chat", "text_completion", "generate_content", "embeddings"})
"""The operations that call a model; others, such as tools and agents, hold calls that tell for themselves."""
_MOST = 65_536
_NOT_ENDED = "not_ended"


class _Call:
    """A span in progress that is a model call, or may turn out to be one."""

    __slots__ = ("above", "began_ns", "own", "session_id", "told", "usage")

    def __init__(
        self, usage: Usage, session_id: str, above: "_Call | None", began_ns: int, own: "CallStage | None"
    ) -> None:
        self.usage = usage
        self.session_id = session_id
        self.above = above
        self.began_ns = began_ns
        self.own = own
        self.told = False


class CallStage:
    """An `ai_processing` stage that begins and ends with one model call. It is never in anybody's context."""

    __slots__ = ("_context", "_kit", "_start_ns", "record", "span")

    def __init__(self, kit: RecordingKit, record: ProcessingMetric, context: Context, start_ns: int) -> None:
        self._kit = kit
        self._start_ns = start_ns
        self.record = record
        token = attach(context)
        try:
            span, parent = start_stage(kit, record, start_ns)
        finally:
            detach(token)
        self.span: Span | None = span
        self._context = set_span_in_context(span, parent)

    def disown(self) -> None:
        """In a forked child: the stage stays the parent's."""
        self.span = None

    def end(self, error_type: str | None, end_ns: int) -> None:
        """Ends the stage, failed where its call failed."""
        kit, span, record = self._kit, self.span, self.record
        if span is None:
            return
        self.span = None
        if error_type:
            mark_failed(record, error_type, None)
        bring_usage(kit, record, span)
        kit.stages.end(record, span, end_ns)
        measure(kit, record, self._context, end_ns - self._start_ns)


class ModelCalls:
    """Told of every span that begins and ends, it sums what model calls use into their stages.

    A call in a session and outside of any stage gets a stage of its own, `ai_processing`. Of calls inside one another,
    which are one call seen by several libraries, the innermost that tells of tokens counts.
    """

    def __init__(self, kit: RecordingKit, has_ended: Callable[[str], bool], prices: PriceList) -> None:
        self._kit = kit
        self._has_ended = has_ended
        self._prices = prices
        self._calls: dict[int, _Call] = {}
        self._own: set[CallStage] = set()

    def began(
        self, span: Span, context: Context, parent_id: int, start_ns: int, attributes: Mapping[str, Any]
    ) -> SpanContext | None:  # fmt: skip
        """A span that may be a model call began; gives the parent that it is to get, where it got a stage of its own."""
        try:
            return self._began(span, context, parent_id, start_ns, attributes)
        except Exception as error:
            self._kit.guard.caught("model_call", error, dropped=False)
            return None

    def ended(self, span_id: int, attributes: Mapping[str, Any], *, failed: bool, end_ns: int) -> None:
        """A span ended; where it was a model call its stage gets what it used."""
        call = self._calls.pop(span_id, None)
        if call is None:
            return
        try:
            if attributes.get(names.GEN_AI_OPERATION) in _CALLS:
                self._add(call, attributes, failed=failed)
        except Exception as error:
            self._kit.guard.caught("model_call", error, dropped=False)
        try:
            error_type = str(attributes.get(names.ERROR_TYPE) or "failed") if failed else None
            self._end_own(call, error_type, end_ns)
        except Exception as error:
            self._kit.guard.caught("model_call", error, dropped=False)

    def disown(self) -> None:
        """In a forked child: calls in progress are the parent's."""
        for stage in self._own:
            stage.disown()
        self._own.clear()
        self._calls.clear()
        self._kit.usage.clear()

    def _began(
        self, span: Span, context: Context, parent_id: int, start_ns: int, attributes: Mapping[str, Any]
    ) -> SpanContext | None:  # fmt: skip
        kit = self._kit
        is_call = attributes.get(names.GEN_AI_OPERATION) in _CALLS
        above = self._calls.get(parent_id)
        stage = context.get(names.STAGE_CONTEXT)
        own = None
        if isinstance(stage, ProcessingMetric) and stage.span_id and not stage.end_time:
            usage, session_id = kit.usage.setdefault(stage.span_id, Usage()), stage.session_id
        elif above is not None:
            usage, session_id = above.usage, above.session_id
        elif is_call and (own := self._own_stage(context, start_ns)) is not None:
            usage, session_id = kit.usage.setdefault(own.record.span_id, Usage()), own.record.session_id
        else:
            return None
        if is_call:
            self._prices.prepare()
            for name in (names.SESSION_ID, names.GEN_AI_CONVERSATION):
                if name not in attributes:
                    span.set_attribute(name, session_id)
        while len(self._calls) >= _MOST:  # spans that nobody ended
            self._give_up(self._calls.pop(next(iter(self._calls)), None), start_ns)
        self._calls[span.get_span_context().span_id] = _Call(usage, session_id, above, start_ns, own)
        return None if own is None or own.span is None else own.span.get_span_context()

    def _give_up(self, call: _Call | None, now_ns: int) -> None:
        """A span that nobody ended: the stage of its own ends as failed, with what is known by now."""
        if call is not None:
            self._end_own(call, _NOT_ENDED, max(now_ns, call.began_ns))

    def _end_own(self, call: _Call, error_type: str | None, end_ns: int) -> None:
        if call.own is not None:
            self._own.discard(call.own)
            call.own.end(error_type, end_ns)

    def _add(self, call: _Call, attributes: Mapping[str, Any], *, failed: bool) -> None:
        if call.told:
            return
        if tokens_of(attributes) != (None, None):
            above = call.above
            while above is not None:
                above.told, above = True, above.above
        call.usage.add(attributes, call.began_ns, self._prices, failed=failed)

    def _own_stage(self, context: Context, start_ns: int) -> CallStage | None:
        session = session_of(context)
        if session is None or session.ended or self._has_ended(session.session_id):
            return None
        kit = self._kit
        record = new_stage(
            kit, session.session_id, session.user_id, session.chat_id, ProcessingStage.AI_PROCESSING,
            {"platform": session.platform} if session.platform else {},
        )  # fmt: skip
        session.stage_began(start_ns)
        before = context.get(names.STAGE_CONTEXT)
        if isinstance(before, ProcessingMetric) and before.span_id:
            current = get_current_span(context).get_span_context()
            if f"{current.span_id:016x}" == before.span_id:  # an ended stage: the next one stands beside it
                context = set_span_in_context(kit.root_of(record.session_id), context)
        stage = CallStage(kit, record, context, start_ns)
        self._own.add(stage)
        return stage
