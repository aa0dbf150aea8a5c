"""Owns the session of one update, from its arrival to its handlers' end, in no framework's words."""

import threading
from types import TracebackType
from typing import Self

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Span

from otel_metrics.instrumentation.spans import HandlingSpan
from otel_metrics.model import names
from otel_metrics.model.records import Json
from otel_metrics.model.values import text_of
from otel_metrics.model.vocabulary import ProcessingStage, SessionOutcome
from otel_metrics.process import get_metrics_service
from otel_metrics.recording.kit import RecordingKit
from otel_metrics.recording.sessions import Sessions
from otel_metrics.recording.timer import (
    SPAN_KEY,
    ProcessingTimer,
    mark_failed,
    measure,
    new_stage,
    start_stage,
    type_of,
)

_NO_STAGE = {names.STAGE_CONTEXT: None}  # an update that another one's stage brought is not in that stage


class Handling:
    """The session of an update that is being handled, and its stage `query_received`.

    That stage ends when the first other stage of the session begins, or with the handling; its record is written at the
    end, since an error may still come out of the handler. The handling ends when everybody who holds it has let go:
    whoever began it, and handlers that run on beside.
    """

    def __init__(
        self, sessions: Sessions, kit: RecordingKit, user_id: object, chat_id: object, metadata: Json,
        subject: object,
    ) -> None:  # fmt: skip
        self.user_id = user_id
        self.chat_id = chat_id
        self.metadata = metadata
        self.subject = subject
        self.ended = False
        self._sessions, self._kit = sessions, kit  # to the end, whatever becomes of the process's service meanwhile
        self._holders = 1
        self._delivered = self._undelivered = self._handed_over = False
        self._error: BaseException | None = None
        self._told: BaseException | None = None
        self._end_ns = 0
        self.session_id = sessions.create(user_id, chat_id, metadata)
        self._start_ns = kit.clock.time_ns()
        self._tick = kit.clock.perf_counter_ns()
        self._record = new_stage(kit, self.session_id, user_id, chat_id, ProcessingStage.QUERY_RECEIVED, metadata)
        self._span, around = start_stage(kit, self._record, self._start_ns)
        self._stand_in = HandlingSpan(self._span)
        self.context = Context({**around, **_NO_STAGE, SPAN_KEY: self._stand_in, names.HANDLING_CONTEXT: self})
        kit.live.setdefault(self.session_id, []).append(self)

    @property
    def span(self) -> Span | None:
        """The span of `query_received`, for corrections that are recorded while no other stage is open."""
        return None if self.ended else self._span

    @property
    def platform(self) -> str:
        """The platform that the update came from."""
        return str(self.metadata.get("platform", ""))

    # --- what happens while it lasts ---------------------------------------------------------------------------

    def stage(self, stage: str, **metadata: object) -> ProcessingTimer:
        """A timer for another stage of this session: `with handling.stage("ai_processing"):`."""
        if self.platform:
            metadata.setdefault("platform", self.platform)
        return ProcessingTimer(self._kit, self.session_id, self.user_id, self.chat_id, stage, metadata)

    def stage_began(self, start_ns: int) -> None:
        """Another stage of the session takes over from `query_received`."""
        if not self._end_ns and not self.ended:
            self._end_ns = max(self._start_ns, start_ns)
            self._stand_in.stand_for(self._kit.root_of(self.session_id))

    def stage_failed(self, error: BaseException) -> None:
        """Another stage has recorded this error; it is not told twice."""
        self._told = error

    def delivery_ended(self, *, delivered: bool) -> None:
        """An outbound message to the session's person went out, or could not."""
        if delivered:
            self._delivered = True
        else:
            self._undelivered = True

    def is_with(self, place: object) -> bool:
        """Whether a chat or a person that a call names is this session's. Compared as text: a bot may give anything."""
        return not self.chat_id or text_of(place) in {text_of(self.chat_id), text_of(self.user_id)}

    def note(self, **facts: object) -> None:
        """Tells more of the update, known only now: it stands in the metadata of `query_received`."""
        if not self.ended:
            self._record.metadata.update(facts)

    @property
    def undelivered(self) -> bool:
        """Whether an outbound message to the session's person could not go out."""
        return self._undelivered

    def fail(self, error: BaseException) -> None:
        """The handler raised this; the first error counts."""
        if self._error is None:
            self._error = error

    def hand_over(self) -> None:
        """Somebody else ends the session, perhaps in another process and after hours."""
        self._handed_over = True

    # --- its end -----------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Keeps the handling open until one more `release()`."""
        with _counting:
            self._holders += 1

    def release(self) -> None:
        """Lets go; the last one ends the handling."""
        with _counting:
            self._holders -= 1
            last = self._holders <= 0 and not self.ended
        if last:
            try:
                self._end()
            except Exception as fault:
                self._kit.guard.caught("handling", fault)

    def disown(self) -> None:
        """In a forked child: the session stays the parent's."""
        self.ended = True
        self._stand_in.stand_for_none()

    def _end(self) -> None:
        kit, record, error = self._kit, self._record, self._error
        self.ended = True
        self._error = None  # an error holds its frames, and contexts may hold this for long
        kit.no_longer_live(self.session_id, self)
        end_ns = self._end_ns or self._start_ns + max(0, kit.clock.perf_counter_ns() - self._tick)
        if error is not None and error is not self._told:
            mark_failed(record, type_of(error), None)
        self._told = self.subject = None
        kit.stages.end(record, self._span, end_ns)
        measure(kit, record, self.context, end_ns - self._start_ns)
        self.context = Context()  # it holds this handling: a cycle is work for the collector
        self._stand_in.stand_for_none()
        if not self._handed_over:
            self._sessions.end(self.session_id, self._outcome(failed=error is not None))

    def _outcome(self, *, failed: bool) -> SessionOutcome:
        if failed:
            return SessionOutcome.FAILED
        if self._delivered:
            return SessionOutcome.DELIVERED
        return SessionOutcome.FAILED if self._undelivered else SessionOutcome.ABANDONED


def current_handling() -> Handling | None:
    """The handling that this code runs in. None outside of one, after its end, and where recording is switched off."""
    handling = get_current().get(names.HANDLING_CONTEXT)
    return handling if isinstance(handling, Handling) and not handling.ended else None


class handle:  # noqa: N801 - it reads as the verb that it is, like contextlib's own
    """Traces one update: `with handle(user_id, chat_id, facts, subject=update):` around its handlers.

    `facts` are the session's metadata: `{"platform": "telegram", "message_kind": "text"}`. `subject` is what is handled,
    by which nested hooks can tell that it is theirs. Gives the `Handling`; None where nothing can be recorded. What is raised inside passes unchanged and makes the session
    failed. `with` is entered and left in one task; handlers that run on beside use `Handling.hold()`.
    """

    __slots__ = ("_facts", "_handling", "_token")

    def __init__(self, user_id: object, chat_id: object, facts: Json, *, subject: object = None) -> None:
        self._facts = (user_id, chat_id, facts, subject)
        self._handling: Handling | None = None

    def __enter__(self) -> Handling | None:
        service = get_metrics_service()
        kit, sessions = service.kit, service.sessions
        if kit is not None and sessions is not None:
            try:
                self._handling = Handling(sessions, kit, *self._facts)
                self._token = attach(self._handling.context)
            except Exception as fault:
                kit.guard.caught("handling", fault)
        return self._handling

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handling is not None:
            detach(self._token)
            if error is not None:
                self._handling.fail(error)
            self._handling.release()


class outside_handling:  # noqa: N801 - as above
    """Runs a block as if no update were being handled: what it schedules does not belong to the session."""

    __slots__ = ("_token",)

    def __enter__(self) -> Self:
        kept = {key: value for key, value in get_current().items() if key not in _OF_A_HANDLING}
        self._token = attach(Context(kept))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        detach(self._token)


_counting = threading.Lock()
"""Handlers of one update may end in several threads at once."""
_OF_A_HANDLING = (SPAN_KEY, names.STAGE_CONTEXT, names.HANDLING_CONTEXT)
