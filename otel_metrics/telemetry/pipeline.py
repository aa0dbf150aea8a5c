"""Owns the processors of our own provider: the store first, then whoever else listens."""

from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor

from otel_metrics.telemetry.exporter import StoreSpanProcessor


class Pipeline(SynchronousMultiSpanProcessor):
    """A provider's processors, of which the store's can be exchanged when one service replaces another."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._store: StoreSpanProcessor | None = None
        self.others: tuple[SpanProcessor, ...] = ()

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
        """Adds a processor behind the store."""
        self.others += (span_processor,)
        self._rebuild()

    def remove(self, processor: SpanProcessor) -> None:
        """Takes a processor out."""
        self.others = tuple(one for one in self.others if one is not processor)
        self._rebuild()

    def _rebuild(self) -> None:
        self._span_processors = (*((self._store,) if self._store else ()), *self.others)
