"""Owns the questions about moderators: what each moderator does, how long it takes and how far it can be relied on."""

from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.questions.document import Document
from otel_metrics.analytics.window import Window
from otel_metrics.settings import Settings


def moderators(engine: Engine, window: Window, settings: Settings) -> Document:
    """TODO"""
    del engine, window, settings
    return {}
