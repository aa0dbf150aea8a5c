"""Owns the id generator of root spans: the ids that the attached context holds, else the provider's own."""

import copy

from opentelemetry.context import get_current
from opentelemetry.sdk.trace import Tracer as SdkTracer
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Tracer

from otel_metrics.model import names


class RootIdGenerator(IdGenerator):
    """Gives a session's root span the ids that follow from its session id."""

    def __init__(self, otherwise: IdGenerator) -> None:
        self._otherwise = otherwise

    def generate_trace_id(self) -> int:
        """The trace id in the attached context, or one of the provider's generator."""
        ids = _ids()
        return ids[0] if ids else self._otherwise.generate_trace_id()

    def generate_span_id(self) -> int:
        """The span id in the attached context, or one of the provider's generator."""
        ids = _ids()
        return ids[1] if ids else self._otherwise.generate_span_id()


def root_tracer_of(tracer: Tracer) -> Tracer:
    """A copy of the tracer that can give root spans their ids: stages keep the plain, faster one."""
    if not isinstance(tracer, SdkTracer):
        return tracer
    copied = copy.copy(tracer)
    copied.id_generator = RootIdGenerator(tracer.id_generator)
    return copied


def _ids() -> tuple[int, int] | None:
    found = get_current().get(names.ROOT_CONTEXT)
    return found if isinstance(found, tuple) else None
