"""Owns the questions about time in stages: where the time of a session goes: stages, waiting against working, the bottleneck."""

from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.questions.document import Document
from otel_metrics.analytics.window import Window
from otel_metrics.settings import Settings


def stages(engine: Engine, window: Window, settings: Settings) -> Document:
    """TODO"""
    del engine, window, settings
    return {}
