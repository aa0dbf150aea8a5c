"""Owns what every instrumentor shares: the check of versions, the providers it is given, and hooks that can be taken out."""

from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import Any, ClassVar

from opentelemetry.instrumentation.dependencies import DependencyConflictError, get_dependency_conflicts
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped

from otel_metrics.process import use_providers


def check_versions(requirements: Collection[str]) -> None:
    """Raises `DependencyConflictError` where a framework is missing or of another version."""
    conflict = get_dependency_conflicts(requirements)
    if conflict:
        raise DependencyConflictError(conflict)


class Instrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Base of the instrumentors. A subclass names its `requirements` and wraps constructors in `hook()`.

    `instrument(tracer_provider=..., meter_provider=...)` records into these. Without them it is the process's provider,
    looked for when the first update comes: so it may be set before or after, by the bot's own code, by
    `opentelemetry-instrument` or by `configure()`; where there is none by then, `configure()` makes one.
    """

    requirements: ClassVar[tuple[str, ...]]

    def instrumentation_dependencies(self) -> Collection[str]:
        """The framework and its versions, as in a requirements file."""
        return self.requirements

    @abstractmethod
    def hook(self) -> None:
        """Puts the framework's hooks in, by `wrap()`."""

    def wrap(self, owner: type, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Puts `make(what is there)` in the place of a method; `uninstrument()` puts it back."""
        original = owner.__dict__[name]
        self._wrapped.append((owner, name, original))
        setattr(owner, name, make(original))

    def _instrument(self, **kwargs: Any) -> None:
        # The entry point of `opentelemetry-instrument` skips the check of its base class.
        check_versions(self.requirements)
        self._wrapped: list[tuple[type, str, Any]] = []
        given = (kwargs.get("tracer_provider"), kwargs.get("meter_provider"))
        self._gave_providers = given != (None, None)
        if self._gave_providers:
            from otel_metrics.telemetry.providers import (
                Providers,  # OpenTelemetry's SDK is loaded where somebody has one
            )

            use_providers(Providers(*given))
        self.hook()

    def _uninstrument(self, **_: Any) -> None:
        """Takes the hooks out; what was made while they were in stays traced."""
        for owner, name, original in reversed(self._wrapped):
            setattr(owner, name, original)
        self._wrapped.clear()
        if self._gave_providers:
            use_providers(None)
