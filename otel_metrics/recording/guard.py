"""Owns what happens when recording goes wrong inside a bot: warn once, count, go on; under test, raise."""

import warnings

from otel_metrics.model.losses import Losses


class Guard:
    """Stands between our faults and the bot. `strict` is what the test kit sets: then everything is raised."""

    def __init__(self, losses: Losses, *, strict: bool) -> None:
        self._losses = losses
        self._strict = strict
        self._warned: set[str] = set()

    def caught(self, where: str, error: Exception, *, dropped: bool = True) -> None:
        """A fault of ours, which cost a record unless `dropped` is False: counted, warned about once for each place.

        Call it from an `except` clause.
        """
        if self._strict:
            raise error
        count = self._losses.drop if dropped else self._losses.note
        count(f"fault_in_{where}")
        self._warn_once(f"fault {where}", f"{where} failed with {type(error).__name__}: {error}; the bot goes on")

    def complain(self, reason: str, found: str, expected: str) -> None:
        """An argument that can not be right: the fact is kept as it was given, with a warning once for each reason."""
        message = f"{found}; expected {expected}"
        if self._strict:
            raise ValueError(message)
        self._losses.note(f"input_{reason}")
        self._warn_once(reason, f"{message}; it is kept as given in the metadata")

    def lost(self, reason: str) -> None:
        """A record that could not be made, for a reason that is nobody's fault."""
        self._losses.drop(reason)

    def noticed(self, reason: str) -> None:
        """Something that is not as it should be and cost no record: it is counted."""
        self._losses.note(reason)

    def misses_ids(self) -> None:
        """The provider gives spans ids of its own: the session's root span can not have the one that others point to."""
        self._losses.note("root_span_without_our_id_generator")
        self._warn_once(
            "ids",
            "this tracer provider does not use our id generator, so that a session's span hangs beside its stages and not "
            "above them; expected the SDK's own TracerProvider; each session is one trace all the same",
        )

    def unreadable(self) -> None:
        """A value whose own methods failed: a placeholder stands for it."""
        self._losses.note("unreadable_value")

    def _warn_once(self, key: str, message: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            warnings.warn(f"otel_metrics: {message}", RuntimeWarning, stacklevel=4)
