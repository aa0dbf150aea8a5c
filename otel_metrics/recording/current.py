"""Owns where the session in progress stands: who traces a whole update by itself sets it, who records inside may ask for it."""

from contextvars import ContextVar
from typing import Protocol


class CurrentSession(Protocol):
    """The session of the update that is being handled: a boundary, so that recording knows no framework."""

    @property
    def session_id(self) -> str:
        """The session's id."""
        ...

    @property
    def user_id(self) -> object:
        """Whose message it is, as the platform says it."""
        ...

    @property
    def chat_id(self) -> object:
        """The chat that the message came from."""
        ...

    def hand_over(self) -> None:
        """Somebody else ends the session from now on, perhaps hours later and in another process."""
        ...


current_session: ContextVar[CurrentSession | None] = ContextVar("otel_metrics_current_session", default=None)
"""Asyncio carries it into tasks and `to_thread`; a thread that is started otherwise has none."""
