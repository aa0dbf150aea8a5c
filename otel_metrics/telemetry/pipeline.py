"""Owns the processors of our own provider: the store first, then whoever else listens."""

import warnings

from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor

from otel_metrics.telemetry.exporter import StoreSpanProcessor


class Pipeline(SynchronousMultiSpanProcessor):
    """A provider's processors, of which the store's can be exchanged when one service replaces another."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._store: StoreSpanProcessor | None = None
        self.others: tuple[SpanProcessor, ...] = ()
        self.is_forwarded = False
        """Whether what the store has is sent by OTLP, by us."""

    def set_store(self, processor: StoreSpanProcessor) -> None:
        """Puts the store in front, in the place of another one."""
        self._store = processor
        self._rebuild()

    def drop_store(self, processor: StoreSpanProcessor) -> None:
        """Takes the store out, unless another service's is in its place by now."""
        if self._store is processor:
            self._store = None
            self._rebuild()

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Adds a processor behind the store; one that sends what we send already is told of aloud."""
        exporter = type(getattr(span_processor, "span_exporter", None))
        if self.is_forwarded and exporter.__module__.startswith("opentelemetry.exporter.otlp."):
            warnings.warn(
                f"otel_metrics: {exporter.__name__} was added where spans are sent by OTLP already, so that they may "
                "arrive twice; expected one sender: leave it out, or set OTEL_TRACES_EXPORTER=none",
                RuntimeWarning, stacklevel=3,
            )  # fmt: skip
        self.others += (span_processor,)
        self._rebuild()

    def remove(self, processor: SpanProcessor) -> None:
        """Takes a processor out."""
        self.others = tuple(one for one in self.others if one is not processor)
        self._rebuild()

    def _rebuild(self) -> None:
        self._span_processors = (*((self._store,) if self._store else ()), *self.others)
