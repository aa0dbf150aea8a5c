"""Owns the sampler of our own provider: the user's choice of what is sent, while the local store keeps everything."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON, Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes


class RecordEverything(Sampler):
    """Turns a drop of another sampler into "record only": our processor sees the span, exporting ones do not."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.takes_all_sessions = sampler in {ALWAYS_ON, DEFAULT_ON}

    def should_sample(
        self, parent_context: Context | None, trace_id: int, name: str, kind: SpanKind | None = None,
        attributes: Attributes = None, links: Sequence[Link] | None = None, trace_state: TraceState | None = None,
    ) -> SamplingResult:  # fmt: skip
        """The other sampler's decision, at least `RECORD_ONLY`."""
        result = self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if result.decision is Decision.DROP:
            return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)
        return result

    def get_description(self) -> str:
        """The description of both."""
        return f"RecordEverything{{{self._sampler.get_description()}}}"
