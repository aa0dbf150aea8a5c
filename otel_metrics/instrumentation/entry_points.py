"""Owns what `opentelemetry-instrument` loads: instrumentors that wait for their framework, and import none themselves.

A framework takes seconds to import, and most programs in an environment are no bots. So the versions are checked at once
and the rest happens when the program itself imports the framework.
"""

import logging
from abc import abstractmethod
from collections.abc import Collection
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # untyped
from wrapt import register_post_import_hook

from otel_metrics.instrumentation.base import Instrumentor, check_versions

_log = logging.getLogger(__name__)


class WaitingInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Base of the entry points: `framework` is the module waited for, `home` the one of ours that hooks it."""

    requirements: ClassVar[tuple[str, ...]]
    framework: ClassVar[str]
    home: ClassVar[str]

    def __init__(self) -> None:
        self._options: dict[str, Any] | None = None
        self._hooked: Instrumentor | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """The framework and its versions, as in a requirements file."""
        return self.requirements

    @abstractmethod
    def instrumentor_in(self, home: Any) -> Instrumentor:
        """The instrumentor that the loaded module of ours has."""

    def _instrument(self, **options: Any) -> None:
        check_versions(self.requirements)
        self._options = options
        # Ours may be imported first and import the framework itself: then it is only half there when that is loaded.
        register_post_import_hook(self._loaded, self.home)
        register_post_import_hook(self._framework_loaded, self.framework)

    def _uninstrument(self, **_: Any) -> None:
        self._options = None
        if self._hooked is not None:
            self._hooked.uninstrument()
            self._hooked = None

    def _framework_loaded(self, _: ModuleType) -> None:
        if self._options is not None:
            try:
                import_module(self.home)
            except Exception:
                _log.exception("%s is not traced: %s can not be loaded", self.framework, self.home)

    def _loaded(self, home: ModuleType) -> None:
        if self._options is None or self._hooked is not None:
            return
        try:
            instrumentor = self.instrumentor_in(home)
            if not instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.instrument(skip_dep_check=True, **self._options)
                self._hooked = instrumentor
        except Exception:  # it would be the program's own import that fails
            _log.exception("%s is not traced", self.framework)


class WaitingAiogramInstrumentor(WaitingInstrumentor):
    """Traces aiogram once the program imports it."""

    requirements = ("aiogram >= 3",)
    framework = "aiogram"
    home = "otel_metrics.instrumentation.aiogram"

    def instrumentor_in(self, home: Any) -> Instrumentor:
        """Aiogram's."""
        instrumentor: Instrumentor = home.AiogramInstrumentor()
        return instrumentor


class WaitingSlackInstrumentor(WaitingInstrumentor):
    """Traces slack-bolt once the program imports it."""

    requirements = ("slack-bolt >= 1.18",)
    framework = "slack_bolt"
    home = "otel_metrics.instrumentation.slack"

    def instrumentor_in(self, home: Any) -> Instrumentor:
        """Slack's."""
        instrumentor: Instrumentor = home.SlackInstrumentor()
        return instrumentor


class WaitingTelegramInstrumentor(WaitingInstrumentor):
    """Traces python-telegram-bot once the program imports its `telegram.ext`, where applications are made."""

    requirements = ("python-telegram-bot >= 21",)
    framework = "telegram.ext"
    home = "otel_metrics.instrumentation.telegram"

    def instrumentor_in(self, home: Any) -> Instrumentor:
        """Telegram's."""
        instrumentor: Instrumentor = home.TelegramInstrumentor()
        return instrumentor
