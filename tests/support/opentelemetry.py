"""OpenTelemetry's process-wide state, which its API can only set once: tests have to put it back themselves."""

from opentelemetry import metrics, trace
from opentelemetry.util._once import Once


def forget_providers() -> None:
    """As at the start of a process: no tracer provider and no meter provider is set."""
    trace._TRACER_PROVIDER = None
    trace._TRACER_PROVIDER_SET_ONCE = Once()
    metrics._internal._METER_PROVIDER = None
    metrics._internal._METER_PROVIDER_SET_ONCE = Once()
