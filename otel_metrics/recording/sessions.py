"""Owns a session's two ends: its id when it is created, its root span when somebody ends it."""

from collections import OrderedDict
from typing import Any

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

from otel_metrics.model import names, pending
from otel_metrics.model.attributes import root_attributes
from otel_metrics.model.identity import new_session_id, root_span_id_of, session_start_ns, trace_id_of
from otel_metrics.model.records import Json, SessionBegin, SessionEnd
from otel_metrics.model.times import iso
from otel_metrics.model.values import clean_mapping, clean_text, text_of
from otel_metrics.model.vocabulary import SessionOutcome
from otel_metrics.recording.kit import RecordingKit, integer_ids

_REMEMBERED = 8192


class Sessions:
    """Creates and ends sessions. What is known of one in this process is remembered, within bounds; other processes need none of it."""

    def __init__(self, kit: RecordingKit) -> None:
        self._kit = kit
        self._created: OrderedDict[str, SessionBegin] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def create(self, user_id: object, chat_id: object, metadata: Json) -> str:
        """Makes a session and writes its line; the id is all that has to travel."""
        kit = self._kit
        now_ns = kit.clock.time_ns()
        session_id = new_session_id(now_ns)
        try:
            (user, chat), originals = integer_ids(user_id=user_id, chat_id=chat_id)
            cleaned = {**clean_mapping(metadata, kit.text_limit, kit.guard.unreadable), **originals}
            record = SessionBegin(
                session_id,
                iso(now_ns),
                "metric",
                "session_started",
                "Session started",
                user,
                chat,
                cleaned,
            )
            _remember(self._created, session_id, record)
            kit.ledger.append(record)
        except Exception as error:
            kit.guard.caught("create_session", error)
        return session_id

    def has_ended(self, session_id: str) -> bool:
        """Whether this process has ended the session, as far as it remembers."""
        return session_id in self._ended

    def end(self, session_id: str, outcome: str) -> None:
        """Ends a session: emits its root span, backdated to the session's start. Another end of it changes nothing."""
        kit = self._kit
        session_id, _ = kit.session_text(session_id)
        if session_id in self._ended:
            return
        metadata: Json = {}
        chosen = text_of(outcome)
        if chosen not in SessionOutcome.__members__.values():
            kit.guard.complain("outcome", f"outcome={chosen!r} is not known", f"one of {', '.join(SessionOutcome)}")
            metadata["outcome"] = clean_text(chosen, 256)
            chosen = SessionOutcome.FAILED.value
        _remember(self._ended, session_id, None)
        self._emit_root(session_id, chosen, metadata)

    def _emit_root(self, session_id: str, outcome: str, metadata: Json) -> None:
        kit = self._kit
        end_ns = kit.clock.time_ns()
        start_ns = min(session_start_ns(session_id) or end_ns, end_ns)
        begun = self._created.pop(session_id, None)
        user, chat = (begun.user_id, begun.chat_id) if begun else (0, 0)
        metadata = {**(begun.metadata if begun else {}), **metadata}
        trace_id = trace_id_of(session_id)
        root_id = root_span_id_of(trace_id)
        record = SessionEnd(
            f"{trace_id:032x}"[:14] + f"{root_id:016x}", "", "metric", "session_ended", f"Session ended: {outcome}", session_id,
            names.SESSION_SPAN, "internal", iso(start_ns), iso(end_ns), round((end_ns - start_ns) / 1e6),
            outcome != SessionOutcome.FAILED, names.SCOPE, f"{root_id:016x}", "", 0,
            user_id=user, chat_id=chat, outcome=outcome, metadata=metadata,
        )  # fmt: skip
        # The ids reach the tracer's id generator by the attached context (the one given to start_span is not seen by it).
        token = attach(Context({**get_current(), names.ROOT_CONTEXT: (trace_id, root_id)}))
        try:
            pending.put(root_id, record)
            span = kit.root_tracer.start_span(
                names.SESSION_SPAN, Context(), attributes=root_attributes(record, kit.hasher), start_time=start_ns
            )
        finally:
            detach(token)
        if not span.is_recording():  # the session's end is kept all the same
            pending.pop(root_id)
            self._keep(record)
        elif span.get_span_context().span_id != root_id:
            span = self._rooted_elsewhere(record, start_ns, root_id)
        if outcome == SessionOutcome.FAILED:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end_time=end_ns)
        kit.instruments.measure(
            kit.instruments.session_duration.record, (end_ns - start_ns) / 1e9, {names.OUTCOME: outcome}
        )

    def _rooted_elsewhere(self, record: SessionEnd, start_ns: int, root_id: int) -> Span:
        """Without our id generator: the end is kept as it should be, and what others see is in the session's trace at least.

        The span that has begun in a trace of its own is never ended, so that nobody gets it.
        """
        kit = self._kit
        pending.pop(root_id)
        self._keep(record)
        kit.guard.noticed(
            "root_span_without_our_id_generator",
            "this tracer provider does not use our id generator for the roots of sessions, so that in your backend the "
            "span `session` stands beside the stages and not above them; expected OpenTelemetry's own TracerProvider",
        )
        context = set_span_in_context(kit.root_of(record.session_id), Context())
        span = kit.root_tracer.start_span(
            names.SESSION_SPAN, context, attributes=root_attributes(record, kit.hasher), start_time=start_ns
        )
        pending.put_written(span.get_span_context().span_id)
        return span

    def _keep(self, record: SessionEnd) -> None:
        record.timestamp = record.end_time
        self._kit.ledger.append(record)


def _remember(memory: OrderedDict[str, Any], key: str, value: Any) -> None:
    memory[key] = value
    while len(memory) > _REMEMBERED:
        memory.popitem(last=False)
