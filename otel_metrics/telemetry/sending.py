"""Owns the handing of spans to an exporter, which tells only yes or no: an outage is told from single spans that are refused."""

import logging
import random
from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_metrics.store.forks import GATE

_logger = logging.getLogger(__name__)
Spans = Sequence[ReadableSpan]


class Sender:
    """One exporter, made when it is first needed. `on_done` is told of spans as soon as they were taken, or refused for good."""

    def __init__(
        self, make_exporter: Callable[[], SpanExporter], on_done: Callable[[Spans], object] = lambda _: None
    ) -> None:
        self._make_exporter = make_exporter
        self._exporter: SpanExporter | None = None
        self._on_done = on_done
        self._ending = False

    def deliver(self, spans: Spans) -> int | None:
        """How many of the spans were refused for good; None when the other side takes nothing at all now.

        The exporter does not tell a collector that is down from one that refuses a single bad span. So when a batch
        fails, two spans of it are tried alone: if neither passes, it is an outage; else the bad ones are searched by
        halves.
        """
        if not spans or self._export(spans):
            return 0
        if self._ending or len(spans) == 1:
            return None
        passed = next((one for one in random.sample(range(len(spans)), 2) if self._export([spans[one]])), None)
        if passed is None:
            return None
        rest = [span for number, span in enumerate(spans) if number != passed]
        return self._search(rest)

    def close(self) -> None:
        """Ends sending, also one that is under way."""
        self._ending = True
        if self._exporter is not None:
            self._exporter.shutdown()

    def _search(self, spans: Spans) -> int:
        """Sends what can be sent, by halves; gives how many can not."""
        if not spans or self._export(spans):
            return 0
        if len(spans) == 1:
            _logger.warning("OTLP: the collector refused span %s, it is left out", spans[0].name)
            self._on_done(spans)
            return 1
        half = len(spans) // 2
        return self._search(spans[:half]) + self._search(spans[half:])

    def _export(self, spans: Spans) -> bool:
        if self._exporter is None:
            with GATE.loading():
                self._exporter = self._make_exporter()
        if self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            return False
        self._on_done(spans)
        return True
