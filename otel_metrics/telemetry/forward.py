"""Owns the sending on of journal lines by OTLP: in the background, in order, each until it is answered.

An outage costs disk and not memory: what is not answered stays in the journal and is sent later, also by another
process. The official exporter sends, with its own retries.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_metrics.background import Background
from otel_metrics.errors import StoreError
from otel_metrics.model.identity import IdHasher
from otel_metrics.model.records import Json
from otel_metrics.store.forks import GATE
from otel_metrics.telemetry.readable import Readable

if TYPE_CHECKING:
    from otel_metrics.store.outbox import Outbox, Taking

_logger = logging.getLogger(__name__)
_EVERY_S = 1.0
_MOST_SPANS = 512
_PAUSE_S = 0.01
"""Between two batches, so that catching up after an outage leaves the bot its processor."""
_LONGEST_BACKOFF_S = 30.0


class Forwarder:
    """Sends what the outbox holds. One thread for a process; of all processes one sends at a time."""

    def __init__(self, outbox: "Outbox", make_exporter: Callable[[], SpanExporter], hasher: IdHasher) -> None:
        self._outbox = outbox
        self._make_exporter = make_exporter
        self._exporter: SpanExporter | None = None
        self._readable = Readable(hasher)
        self._failures = 0
        self._not_before = 0.0
        self._ending = False
        self._pass_over = threading.Condition()
        self._passes = 0
        self._all_sent = False
        self._resource = lru_cache(maxsize=256)(_resource_of)
        self._background = Background(self.run, _EVERY_S, "forward")

    def start(self) -> None:
        """Begins sending. What was recorded before OTLP was first asked for stays where it is."""
        self._outbox.begin()
        self._background.start()

    def in_child(self) -> "Forwarder":
        """One like this for a forked child, where this one's thread and connection do not exist; not started."""
        return Forwarder(self._outbox, self._make_exporter, self._readable.hasher)

    def flush(self, timeout_s: float) -> bool:
        """Sends what is in the tables now; True if all of it was answered within the time."""
        deadline = time.monotonic() + timeout_s
        with self._pass_over:
            before = self._passes
            enough = before + 2  # the pass under way may have looked before the last line came
            self._not_before = 0.0
            while self._passes < enough and time.monotonic() < deadline:
                if self._passes > before and self._failures:
                    return False
                self._background.wake()
                self._pass_over.wait(min(0.05, timeout_s))
            return self._passes >= enough and self._all_sent

    def hurry(self) -> None:
        """Asks for a pass now, without waiting for it."""
        self._background.wake()

    def close(self, timeout_s: float) -> None:
        """Sends the rest, as far as that is quick; where nobody answers it is left to the next process."""
        if not self._failures and timeout_s > 0:
            self.flush(timeout_s)
        self._ending = True
        if self._exporter is not None:
            self._exporter.shutdown()
        self._background.stop(0.5)

    def run(self) -> None:
        """One pass: batch after batch until all is sent or one is not answered."""
        if self._ending or time.monotonic() < self._not_before:
            return
        done = False
        try:
            with self._outbox.taking() as taking:
                while taking is not None and not self._ending:
                    done = self._send_batch(taking)
                    if done or self._failures:
                        break
                    time.sleep(_PAUSE_S)
        except (StoreError, OSError) as error:  # no tables yet, or no room for the cursor: the next pass tries again
            _logger.debug("nothing is forwarded now: %s", error)
        except Exception:
            self._failed()
            _logger.warning("OTLP: a batch could not be made or sent", exc_info=True)
        with self._pass_over:
            self._passes += 1
            self._all_sent = done
            self._pass_over.notify_all()

    def _send_batch(self, taking: "Taking") -> bool:
        """Sends one batch; True when there is nothing more."""
        unsent = taking.next(_MOST_SPANS)
        if not unsent.records:
            if unsent.positions != taking.cursor.positions:
                taking.prepare(unsent, time.time_ns())
                taking.keep()
            return unsent.is_end
        spans = [
            self._readable.span(record, self._resource(msgspec.json.encode(resource)))
            for record, resource in unsent.records
        ]
        taking.prepare(unsent, time.time_ns())
        refused = self._deliver(spans)
        if refused is None:
            self._failed()
            taking.note_failure(time.time_ns())
            return False
        self._failures = 0
        taking.keep(refused)
        return unsent.is_end

    def _deliver(self, spans: Sequence[ReadableSpan]) -> int | None:
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

    def _search(self, spans: Sequence[ReadableSpan]) -> int:
        """Sends what can be sent, by halves; gives how many can not."""
        if not spans or self._export(spans):
            return 0
        if len(spans) == 1:
            _logger.warning("OTLP: the collector refused span %s, it is left out", spans[0].name)
            return 1
        half = len(spans) // 2
        return self._search(spans[:half]) + self._search(spans[half:])

    def _export(self, spans: Sequence[ReadableSpan]) -> bool:
        if self._exporter is None:
            with GATE.loading():
                self._exporter = self._make_exporter()
        return self._exporter.export(spans) is SpanExportResult.SUCCESS

    def _failed(self) -> None:
        self._failures += 1
        self._not_before = time.monotonic() + min(2.0**self._failures, _LONGEST_BACKOFF_S)


def _resource_of(encoded: bytes) -> Resource:
    attributes: Json = msgspec.json.decode(encoded)
    return Resource(attributes)
