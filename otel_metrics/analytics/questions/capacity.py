"""Owns the questions about queue and capacity: arrivals by hour of the week, and how many moderators a waiting time needs."""

from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.questions.document import Document
from otel_metrics.analytics.window import Window
from otel_metrics.settings import Settings


def capacity(engine: Engine, window: Window, settings: Settings) -> Document:
    """TODO"""
    del engine, window, settings
    return {}
