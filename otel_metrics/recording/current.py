"""Owns how the session of the update in progress is found: who traces whole updates puts it into OpenTelemetry's context."""

from typing import Protocol, cast

from opentelemetry.context import get_current

from otel_metrics.model import names


class CurrentSession(Protocol):
    """The session of the update that is being handled: a boundary, so that recording knows no framework."""

    session_id: str
    user_id: object
    chat_id: object
    ended: bool

    def hand_over(self) -> None:
        """Somebody else ends the session from now on, perhaps hours later and in another process."""
        ...


def current_session() -> CurrentSession | None:
    """The session of the update that this code handles; None outside of one and after its end.

    Asyncio carries it into tasks and `to_thread`; a thread that is started otherwise has none.
    """
    found = cast("CurrentSession | None", get_current().get(names.HANDLING_CONTEXT))
    return None if found is None or found.ended else found
