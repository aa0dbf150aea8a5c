"""OpenTelemetry instrumentation for chat bots whose AI drafts are reviewed by humans before they are delivered."""

from importlib import import_module
from typing import TYPE_CHECKING

from otel_metrics._version import __version__
from otel_metrics.model.vocabulary import CorrectionType, ProcessingStage, SessionOutcome
from otel_metrics.process import (
    configure,
    create_session,
    end_session,
    get_alerts,
    get_dashboard_data,
    get_logger,
    get_metrics_service,
    record_correction,
    record_stage,
    record_system_metric,
    shutdown,
    timer,
)

if TYPE_CHECKING:
    from otel_metrics.delivery.notebook import open_store
    from otel_metrics.model.records import CorrectionMetric, ProcessingMetric, SystemMetric
    from otel_metrics.moderation import ModerationItem
    from otel_metrics.recording.current import current_session
    from otel_metrics.recording.logger import StructuredLogger
    from otel_metrics.recording.timer import ProcessingTimer
    from otel_metrics.service import MetricsService
    from otel_metrics.store.tables import MetricsStorage
    from otel_metrics.telemetry.exporter import StoreSpanExporter, StoreSpanProcessor

_HOMES = {
    "CorrectionMetric": "model.records",
    "MetricsService": "service",
    "MetricsStorage": "store.tables",
    "ModerationItem": "moderation",
    "ProcessingMetric": "model.records",
    "ProcessingTimer": "recording.timer",
    "StoreSpanExporter": "telemetry.exporter",
    "StoreSpanProcessor": "telemetry.exporter",
    "StructuredLogger": "recording.logger",
    "current_session": "recording.current",
    "SystemMetric": "model.records",
    "open_store": "delivery.notebook",
}
"""Where lives what is loaded when somebody names it: most bots need only the functions that record."""

__all__ = [
    "CorrectionMetric",
    "CorrectionType",
    "MetricsService",
    "MetricsStorage",
    "ModerationItem",
    "ProcessingMetric",
    "ProcessingStage",
    "ProcessingTimer",
    "SessionOutcome",
    "StoreSpanExporter",
    "StoreSpanProcessor",
    "StructuredLogger",
    "SystemMetric",
    "__version__",
    "configure",
    "create_session",
    "current_session",
    "end_session",
    "get_alerts",
    "get_dashboard_data",
    "get_logger",
    "get_metrics_service",
    "open_store",
    "record_correction",
    "record_stage",
    "record_system_metric",
    "shutdown",
    "timer",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
