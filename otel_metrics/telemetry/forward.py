"""Owns the sending on of journal lines by OTLP: in the background, in order, each until it is answered.

An outage costs disk and not memory: what is not answered stays in the journal and is sent later, also by another
process. The official exporter sends, with its own retries.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter

from otel_metrics.background import Background
from otel_metrics.errors import StoreError
from otel_metrics.model.identity import IdHasher
from otel_metrics.telemetry.readable import Readable, resource_of
from otel_metrics.telemetry.sending import Sender

if TYPE_CHECKING:
    from otel_metrics.store.outbox import Outbox, Taking

_logger = logging.getLogger(__name__)
_EVERY_S = 1.0
_MOST_SPANS = 1024
_PAUSE_S = 0.002
"""Between two batches, so that catching up after an outage leaves the bot its processor."""
_LONGEST_BACKOFF_S = 30.0


class Forwarder:
    """Sends what the outbox holds. One thread for a process; of all processes one sends at a time."""

    def __init__(self, outbox: "Outbox", make_exporter: Callable[[], SpanExporter], hasher: IdHasher) -> None:
        self._outbox = outbox
        self._make_exporter = make_exporter
        self._sender = Sender(make_exporter)
        self._readable = Readable(hasher)
        self._failures = 0
        self._not_before = 0.0
        self._ending = False
        self._pass_over = threading.Condition()
        self._passes = 0
        self._all_sent = False
        self._resource = lru_cache(maxsize=256)(resource_of)
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
        self._sender.close()
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
        spans = [self._readable.span(record, self._resource(resource)) for record, resource in unsent.records]
        taking.prepare(unsent, time.time_ns())
        refused = self._sender.deliver(spans)
        if refused is None:
            self._failed()
            taking.note_failure(time.time_ns())
            return False
        self._failures = 0
        taking.keep(refused)
        return unsent.is_end

    def _failed(self) -> None:
        self._failures += 1
        self._not_before = time.monotonic() + min(2.0**self._failures, _LONGEST_BACKOFF_S)
