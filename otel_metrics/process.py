"""Owns the process's own service, the only state of the package at module level, and the functions that use it."""

import atexit
import os
import threading
import time
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from otel_metrics.model.vocabulary import CorrectionType, ProcessingStage, SessionOutcome
from otel_metrics.settings import Settings, load

if TYPE_CHECKING:
    from otel_metrics.model.records import Json
    from otel_metrics.model.times import Clock, TimeInput
    from otel_metrics.recording.logger import StructuredLogger
    from otel_metrics.recording.timer import ProcessingTimer
    from otel_metrics.service import MetricsService
    from otel_metrics.telemetry.providers import Providers

_RETRY_AFTER_S = 2.0
_NOT_STARTED = "not_started"
_default: "MetricsService | None" = None
_substitute: "MetricsService | None" = None
_retry_at = 0.0
_providers: "Providers | None" = None
_choosing = threading.RLock()


def configure(
    *, database: str | os.PathLike[str] | None = None, log_file: str | os.PathLike[str] | None = None,
    retention_days: float | None = None, enabled: bool | None = None, clock: "Clock | None" = None, **more: Any,
) -> "MetricsService":  # fmt: skip
    """Makes the process's service: argument, then environment, then default. Raises `SettingError` for a bad value.

    `more` are the other settings by their field names (`docs/reference.md`). A second call with other values replaces
    the service cleanly; with the same values it gives the one that is there.
    """
    global _default
    arguments = {
        "database": database,
        "log_file": log_file,
        "retention_days": retention_days,
        "enabled": enabled,
        **more,
    }
    settings = load(arguments)
    with _choosing:
        if _default is not None and _default.settings == settings and clock is None:
            return _default
        before, _default = _default, _make_service(settings, clock)
        if before is not None:
            before.shutdown()
        return _default


def get_metrics_service() -> "MetricsService":
    """The process's service, configured from the environment at first use. It never raises: a bot may be running."""
    return _default or _first_use()


def _first_use() -> "MetricsService":
    global _default, _substitute
    with _choosing:
        if _default is None:
            if _substitute is not None and time.monotonic() < _retry_at:
                _substitute.losses.drop(_NOT_STARTED)
                return _substitute
            try:
                _default = _make_service(load())
            except Exception as error:  # the bot must go on, even where nothing can be written
                return _without_store(error)
            if _substitute is not None:
                _default.losses.drop(_NOT_STARTED, _substitute.losses.dropped()[_NOT_STARTED])
                _substitute = None
        return _default


def _without_store(error: Exception) -> "MetricsService":
    """A service that records nothing, for the next seconds; calls are counted, and told when a store could be made."""
    global _substitute, _retry_at
    if _substitute is None:
        warnings.warn(f"otel_metrics: recording is off for now, {error}", RuntimeWarning, stacklevel=4)
        _substitute = _make_service(Settings(enabled=False))
    _retry_at = time.monotonic() + _RETRY_AFTER_S
    _substitute.losses.drop(_NOT_STARTED)
    return _substitute


def _make_service(settings: Settings, clock: "Clock | None" = None) -> "MetricsService":
    """OpenTelemetry's SDK is loaded here: not with the package, and never where recording is switched off for good."""
    from otel_metrics.service import MetricsService

    return MetricsService(settings, clock=clock, providers=_providers)


def use_providers(providers: "Providers | None") -> None:
    """The process's service records into these instead of OpenTelemetry's global ones; None: into those again.

    A service that is there already is made anew.
    """
    global _default, _providers
    with _choosing:
        before, _default, _providers = _default, None, providers
        if before is not None:
            _default = _make_service(before.settings)
            before.shutdown()


def shutdown() -> None:
    """Ends the process's service; the next use makes a new one."""
    global _default, _substitute
    with _choosing:
        service, _default, _substitute = _default, None, None
    if service is not None:
        service.shutdown()


atexit.register(shutdown)
if hasattr(os, "register_at_fork"):

    def _forked() -> None:
        global _choosing
        _choosing = threading.RLock()

    os.register_at_fork(after_in_child=_forked)


def create_session(user_id: object, chat_id: object, **metadata: object) -> str:
    """Creates a session and gives its id: 32 hex digits, the trace id. See `MetricsService.create_session`."""
    return get_metrics_service().create_session(user_id, chat_id, **metadata)


def end_session(session_id: str, outcome: str = SessionOutcome.DELIVERED) -> None:
    """Ends a session: delivered, rejected, abandoned or failed. See `MetricsService.end_session`."""
    get_metrics_service().end_session(session_id, outcome)


def timer(
    session_id: str, user_id: object, chat_id: object, stage: ProcessingStage | str, **metadata: object
) -> "ProcessingTimer":
    """Times a stage in `with` or `async with`. See `ProcessingTimer`."""
    return (_default or _first_use()).open_timer(session_id, user_id, chat_id, stage, metadata)


def record_stage(
    session_id: str, user_id: object, chat_id: object, stage: ProcessingStage | str, *, start_time: "TimeInput",
    end_time: "TimeInput | None" = None, success: bool = True, error_message: str | None = None, **metadata: object,
) -> None:  # fmt: skip
    """Records a stage with known times. See `MetricsService.record_stage`."""
    get_metrics_service().record_stage(
        session_id, user_id, chat_id, stage, start_time=start_time, end_time=end_time, success=success,
        error_message=error_message, **metadata,
    )  # fmt: skip


def record_correction(
    session_id: str, admin_user_id: object, message_id: object, correction_type: CorrectionType | str,
    original_text: str | None, corrected_text: str | None, processing_time_ms: float | None,
    voice_transcription_time_ms: float | None = None, ai_correction_time_ms: float | None = None,
    admin_satisfaction: int | None = None, retry_count: int = 0, **metadata: object,
) -> None:  # fmt: skip
    """Records what a moderator did to a draft. See `MetricsService.record_correction`."""
    get_metrics_service().record_correction(
        session_id, admin_user_id, message_id, correction_type, original_text, corrected_text, processing_time_ms,
        voice_transcription_time_ms, ai_correction_time_ms, admin_satisfaction, retry_count, **metadata,
    )  # fmt: skip


def record_system_metric(
    metric_type: str, value: float | str, tags: Mapping[str, object] | None = None, **metadata: object
) -> None:
    """Records one measured value with tags. See `MetricsService.record_system_metric`."""
    get_metrics_service().record_system_metric(metric_type, value, tags, **metadata)


def get_logger() -> "StructuredLogger":
    """The structured logger. See `StructuredLogger`."""
    return get_metrics_service().get_logger()


def get_dashboard_data(hours: float = 24) -> "Json":
    """The dashboard document of the last `hours`. See `MetricsService.get_dashboard_data`."""
    return get_metrics_service().get_dashboard_data(hours)


def get_alerts(hours: float = 24) -> "list[Json]":
    """What is wrong in the last `hours`. See `MetricsService.get_alerts`."""
    return get_metrics_service().get_alerts(hours)
