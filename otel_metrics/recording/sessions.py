"""Owns a session's two ends: its id when it is created, its root span when somebody ends it."""

from collections import OrderedDict
from typing import Any

from otel_metrics.model import names
from otel_metrics.model.identity import new_session_id, session_start_ns
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
        self._created: OrderedDict[str, tuple[SessionBegin, int]] = OrderedDict()
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
            _remember(self._created, session_id, (record, now_ns // 1000 * 1000))  # as the id tells it
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
        begun, start_ns = self._created.pop(session_id, (None, 0))
        start_ns = min(start_ns or session_start_ns(session_id) or end_ns, end_ns)
        user, chat = (begun.user_id, begun.chat_id) if begun else (0, 0)
        metadata = {**(begun.metadata if begun else {}), **metadata}
        root = kit.root_of(session_id)
        root_id = f"{root.context.span_id:016x}"
        record = SessionEnd(
            f"{root.trace_id:032x}"[:14] + root_id, "", "metric", "session_ended", f"Session ended: {outcome}", session_id,
            names.SESSION_SPAN, "internal", iso(start_ns), iso(end_ns), round((end_ns - start_ns) / 1e6),
            outcome != SessionOutcome.FAILED, names.SCOPE, root_id, "", 0,
            user_id=user, chat_id=chat, outcome=outcome, metadata=metadata,
        )  # fmt: skip
        kit.roots.emit(record, root, start_ns, end_ns)
        kit.instruments.measure(
            kit.instruments.session_duration.record, (end_ns - start_ns) / 1e9, {names.OUTCOME: outcome}
        )


def _remember(memory: OrderedDict[str, Any], key: str, value: Any) -> None:
    memory[key] = value
    while len(memory) > _REMEMBERED:
        memory.popitem(last=False)
