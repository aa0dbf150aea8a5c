"""Owns the sending of stored spans to a place of its own: batch by batch, at a bounded rate."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from otel_metrics.model.identity import IdHasher
from otel_metrics.model.records import ProcessingMetric, SpanEnded
from otel_metrics.telemetry.otlp import span_exporter_to
from otel_metrics.telemetry.readable import Readable, resource_of
from otel_metrics.telemetry.sending import Sender, Spans

_EXPORTERS = "opentelemetry.exporter.otlp"
Record = ProcessingMetric | SpanEnded


class Resender:
    """Sends records as the spans that they were. `rate` is spans a second, 0 for as fast as it goes."""

    def __init__(self, endpoint: str, protocol: str, hasher: IdHasher, rate: float) -> None:
        self._readable = Readable(hasher)
        self._resource = lru_cache(maxsize=256)(resource_of)
        self._rate = rate
        self._next = 0.0
        self._keys: dict[int, int] = {}
        self._on_done: Callable[[Sequence[int]], object] = lambda _: None
        self._sender = Sender(lambda: span_exporter_to(endpoint, protocol), self._done)
        self.last_words = ""
        """What the exporter said of its last failure."""

    def send(self, batch: Sequence[tuple[int, Record, str]], on_done: Callable[[Sequence[int]], object]) -> int | None:
        """Sends records, given with their keys and resources; gives how many were refused for good, None for no answer.

        `on_done` is told keys as soon as they were taken, or refused for good.
        """
        spans = [self._readable.span(record, self._resource(resource)) for _, record, resource in batch]
        self._keys = {id(span): key for span, (key, _, _) in zip(spans, batch, strict=True)}
        self._on_done = on_done
        with _heard() as words:
            refused = self._sender.deliver(spans)
        self.last_words = words[0] if words else "no answer"
        return refused

    def close(self) -> None:
        """Lets go of the connection."""
        self._sender.close()

    def keep_pace(self, count: int) -> None:
        """Waits for the turn of so many spans: what went slower than it might is not caught up on in a burst."""
        if self._rate <= 0:
            return
        now = time.monotonic()
        if self._next > now:
            time.sleep(self._next - now)
        self._next = max(self._next, now) + count / self._rate

    def _done(self, spans: Spans) -> None:
        self._on_done([self._keys.pop(id(span)) for span in spans])


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the exporters say meanwhile is kept for the report, and not printed for every try."""
    words: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            words.append(" ".join(record.getMessage().split())[:300])

    logger, listener = logging.getLogger(_EXPORTERS), Listener(logging.WARNING)
    spoke, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        yield words
    finally:
        logger.removeHandler(listener)
        logger.propagate = spoke
