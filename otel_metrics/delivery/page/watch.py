"""Owns looking at the alerts while the page is served: once per interval, off the event loop, and what there is to say of it."""

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from otel_metrics.errors import OtelMetricsError, StoreError

if TYPE_CHECKING:
    from otel_metrics.analytics.alerting.states import Transition
    from otel_metrics.delivery.notify.watching import Watchman
    from otel_metrics.delivery.page.feed import Feed

_LEAST_S, _AGAIN_S = 1.0, 30.0
_log = logging.getLogger("otel_metrics.page")


@dataclass(frozen=True, slots=True)
class Watching:
    """How this page looks at the alerts: every so many seconds (None: it does not), when last, and what is wrong with it."""

    every_s: float | None = None
    looked_at: float | None = None
    problem: str = ""


class Watch:
    """Looks at the rules and sends what follows, as `otel-metrics watch` does, until `end`. The store decides who tells what.

    `say` gets a sentence for the log, `show` a change of an alert; both in a thread of their own, so that they may wait.
    """

    def __init__(
        self, feed: "Feed", every_s: float, say: Callable[[str], object], show: "Callable[[Transition], object]"
    ) -> None:
        self._feed, self._every_s, self._say, self._show = feed, every_s, say, show
        self._watchman: Watchman | None = None
        self._ending = asyncio.Event()
        self._found: list[str] = []
        feed.watching = Watching(every_s)

    async def keep(self) -> None:
        """Looks and sends until the end."""
        try:
            while not self._ending.is_set():
                await self._look()
                await self._send_until(time.monotonic() + self._every_s)
        finally:
            self.end()  # a second Ctrl-C cancels this, and what is being sent must not hold up the end then either

    def end(self) -> None:
        """Lets `keep` end soon: what is being sent gets a moment, what waits stays in the store."""
        self._ending.set()
        if self._watchman is not None:
            self._watchman.end()

    async def _look(self) -> None:
        """One look. What can not be done now is said in the log and on the page, and tried again at the next one."""
        before, changes = self._feed.watching, list["Transition"]()
        looked_at = before.looked_at
        self._found.clear()
        try:
            await self._feed.follow()
            changes = await self._feed.ask(self._look_now)
            looked_at = time.time()
        except (OtelMetricsError, OSError, sqlite3.Error, duckdb.Error) as error:
            self._found.append(f"no look at the alerts this time ({error})")
        except Exception as error:  # a look that fails must not end those to come
            _log.exception("no look at the alerts this time")
            self._found.append(f"no look at the alerts this time ({type(error).__name__}: {error})")
        problem = "; ".join(self._found)
        self._feed.watching = Watching(self._every_s, looked_at, problem)
        if problem != before.problem:
            await self._feed.ask(self._feed.forget)
        await asyncio.to_thread(self._tell, changes, problem if problem != before.problem else "")

    def _look_now(self) -> "list[Transition]":
        health = self._feed.health
        if health.state == "empty":
            return []
        if health.state != "fine":
            raise StoreError(health.message)
        if self._watchman is None:
            from otel_metrics.delivery.notify.watching import Watchman

            feed = self._feed
            self._watchman = Watchman(feed.storage, feed.answers, feed.settings, self._found.append)
        return self._watchman.look()

    async def _send_until(self, next_look: float) -> None:
        """Sends what is due, and again as soon as there is more to send."""
        while not self._ending.is_set() and (left_s := next_look - time.monotonic()) > 0:
            pause_s = await asyncio.to_thread(self._send)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), max(0.0, min(left_s, max(pause_s, _LEAST_S))))

    def _send(self) -> float:
        """Sends, says what became of it, and gives after how many seconds there is more to do."""
        if self._watchman is None:
            return math.inf
        from otel_metrics.delivery.notify.watching import said_of

        try:
            sent = self._watchman.send()
        except (OtelMetricsError, OSError, sqlite3.Error) as error:
            self._tell([], f"no messages about alerts this time ({error})")
            return _AGAIN_S
        except Exception:  # a message that fails in a new way must not end those to come
            _log.exception("no messages about alerts this time")
            return _AGAIN_S
        self._tell([], *said_of(sent))
        return math.inf if sent.next_s is None else sent.next_s

    def _tell(self, changes: "Iterable[Transition]", *sentences: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads it any more, or its stream can not say it
            for change in changes:
                self._show(change)
            for one in filter(None, sentences):
                self._say(one)
