"""Owns the questions about cost: tokens and money by session, stage, model and delivered answer."""

from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.questions.document import Document
from otel_metrics.analytics.window import Window
from otel_metrics.settings import Settings


def cost(engine: Engine, window: Window, settings: Settings) -> Document:
    """TODO"""
    del engine, window, settings
    return {}
