"""Owns how the session of the update in progress is found: who traces whole updates puts it into OpenTelemetry's context."""

from typing import TYPE_CHECKING, Protocol, cast

from opentelemetry.context import Context, get_current

from otel_metrics.model import names

if TYPE_CHECKING:
    from otel_metrics.recording.timer import ProcessingTimer


class CurrentSession(Protocol):
    """The session of the update that is being handled: a boundary, so that recording knows no framework."""

    session_id: str
    user_id: object
    chat_id: object
    ended: bool

    @property
    def platform(self) -> str:
        """Where the update came from: telegram, slack …; empty if that is not known."""
        ...

    def hand_over(self) -> None:
        """Somebody else ends the session from now on, perhaps hours later and in another process."""
        ...

    def stage(self, stage: str, **metadata: object) -> "ProcessingTimer":
        """A timer for a stage of this session: `with current_session().stage("ai_processing"):`."""
        ...

    def fail(self, error: BaseException) -> None:
        """The session is to end as `failed`, although nothing is raised out of the handler."""
        ...

    def stage_began(self, start_ns: int) -> None:
        """A stage of the session began, at this time."""
        ...

    def stage_failed(self, error: BaseException) -> None:
        """A stage of the session has recorded this error."""
        ...


def current_session() -> CurrentSession | None:
    """The session of the update that this code handles; None outside of one and after its end.

    Asyncio carries it into tasks and `to_thread`; a thread that is started otherwise has none.
    """
    found = session_of(get_current())
    return None if found is None or found.ended else found


def session_of(context: Context) -> CurrentSession | None:
    """The session that a context belongs to, also after its end."""
    return cast("CurrentSession | None", context.get(names.HANDLING_CONTEXT))
