"""Owns the questions about safe to send: which intents could skip review at a chosen risk."""

from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.questions.document import Document
from otel_metrics.analytics.window import Window
from otel_metrics.settings import Settings


def safe_to_send(engine: Engine, window: Window, settings: Settings) -> Document:
    """TODO"""
    del engine, window, settings
    return {}
