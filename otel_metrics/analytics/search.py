"""Owns what sessions can be searched for: which wishes there are, and that each is one that can be met."""

import math
from dataclasses import dataclass
from typing import Any

from otel_metrics.errors import QueryError
from otel_metrics.model.identity import as_integer_id
from otel_metrics.model.vocabulary import SessionOutcome

OPEN = "open"
OUTCOMES = (*map(str, SessionOutcome), OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a session must be like; None: any will do.

    `user`, `chat`: ids as they were recorded. `outcome`: one of OUTCOMES. `stage`: has a stage of this name, ended or
    running. `error`: True or False for whether any stage failed, a text for a failed stage of that error type or with
    that text in its message, in any case of letters. `longer_than_ms`, `shorter_than_ms`: from the first start to the
    last activity, of an open session until now. `corrected`: by at least one correction that is no rejection.
    `waiting`: for a moderator, as the queue shows it.
    """

    user: object = None
    chat: object = None
    outcome: str | None = None
    stage: str | None = None
    error: bool | str | None = None
    longer_than_ms: float | None = None
    shorter_than_ms: float | None = None
    corrected: bool | None = None
    waiting: bool | None = None

    def parameters(self) -> dict[str, Any]:
        """The wishes as parameters of `sessions.sql`; `QueryError` for one that can not be met by any session."""
        if self.outcome is not None and self.outcome not in OUTCOMES:
            raise QueryError(f"outcome={self.outcome!r}", f"one of {', '.join(OUTCOMES)}", "name one of them")
        flag = isinstance(self.error, bool)
        return {
            "user": None if self.user is None else as_integer_id(self.user)[0],
            "chat": None if self.chat is None else as_integer_id(self.chat)[0],
            "outcome": self.outcome,
            "stage": _text("stage", self.stage, "ai_processing"),
            "failed": self.error if flag else None,
            "error": None if flag else _text("error", self.error, "TimeoutError, or True for any"),
            "longer_ms": _milliseconds("longer_than_ms", self.longer_than_ms),
            "shorter_ms": _milliseconds("shorter_than_ms", self.shorter_than_ms),
            "corrected": _flag("corrected", self.corrected),
            "waiting": _flag("waiting", self.waiting),
        }


def _text(name: str, given: object, example: str) -> str | None:
    if given is None or (isinstance(given, str) and given.strip()):
        return given
    raise QueryError(f"{name}={given!r}", "a text that is not empty", f"for example {example}")


def _milliseconds(name: str, given: object) -> float | None:
    if given is None:
        return None
    if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given) and given >= 0:
        return float(given)
    raise QueryError(f"{name}={given!r}", "milliseconds, from 0 on", "for example 60000")


def _flag(name: str, given: object) -> bool | None:
    if given is None or isinstance(given, bool):
        return given
    raise QueryError(f"{name}={given!r}", "True, False or None", "leave it out for any session")
