"""Owns what Prometheus gets when it asks the page: figures of now from the feed, which rest nine times as long as they took."""

import sqlite3
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
from fastapi import Request, Response

from otel_metrics.delivery.page.place import hours_of
from otel_metrics.delivery.page.prometheus import SECTIONS, Found, exposition
from otel_metrics.errors import MissingExtra, OtelMetricsError, QueryError, StoreError

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_REST, _LONGEST_REST_S = 9.0, 60.0
_MOST_KEPT = 8


class Scrapes:
    """Answers `/metrics`. `hours` in the query is the window, 24 without it. The queue is as of the request."""

    def __init__(self, feed: "Feed") -> None:
        self._feed = feed
        self._kept: dict[float, tuple[float, Found]] = {}

    async def answer(self, request: Request) -> Response:
        """The figures, or one line that says why there are none."""
        try:
            hours = hours_of(request.query_params.get("hours", "24"))
            await self._feed.follow()
            accept = request.headers.get("accept", "")
            body, content_type = await self._feed.ask(lambda: self._told(hours, accept))
        except OtelMetricsError as error:
            return _refused(error, 400 if isinstance(error, QueryError) else 503)
        except (duckdb.Error, sqlite3.Error, OSError) as error:  # for want of memory, say: it is asked again soon
            return _refused(error, 503)
        return Response(body, 200, {"content-type": content_type, "cache-control": "no-store"})

    def _told(self, hours: float, accept: str) -> tuple[bytes, str]:
        health = self._feed.health
        if health.state not in {"fine", "empty"}:
            raise StoreError(health.message)
        try:
            return exposition(self._found(hours), accept)
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"the library {error.name} is not installed", "the package with its extra `dashboard`", "pip install '.[dashboard]' in its copy"
            ) from error  # fmt: skip

    def _found(self, hours: float) -> Found:
        answers = self._feed.answers
        began = time.monotonic()
        until, kept = self._kept.get(hours, (0.0, None))
        if kept is None or began >= until:
            made_at_s = time.time()
            kept = Found(answers.dashboard(hours, SECTIONS), {}, answers.rules(), hours, made_at_s)
            now = time.monotonic()
            self._kept.pop(hours, None)
            self._kept[hours] = (now + min(_LONGEST_REST_S, _REST * (now - began)), kept)
            while len(self._kept) > _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        looked_at = answers.alerts_looked_at()
        looked_at_s = None if looked_at is None else looked_at.timestamp()
        return replace(kept, queue=answers.queue(), looked_at_s=looked_at_s)


def _refused(error: Exception, status: int) -> Response:
    return Response(f"{error}\n", status, {"cache-control": "no-store"}, "text/plain")
