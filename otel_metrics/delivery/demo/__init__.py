"""The demo: a moderated bot in the small, whose last 24 hours go through the real recording path into a store."""

from otel_metrics.delivery.demo.run import Played, run_demo

__all__ = ["Played", "run_demo"]
