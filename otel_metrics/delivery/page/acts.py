"""Owns what somebody can do on the page: run a query, silence a rule, end a silence."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

from otel_metrics.analytics.alerting.duration import EXPECTED, Duration
from otel_metrics.analytics.alerting.silencing import silence_alerts, unsilence_alerts
from otel_metrics.delivery.page.card import Card
from otel_metrics.delivery.page.feed import Feed
from otel_metrics.delivery.page.figures import notice
from otel_metrics.delivery.page.place import Place
from otel_metrics.delivery.page.sql_process import run_limited
from otel_metrics.delivery.page.views.sql import answer_card
from otel_metrics.errors import OtelMetricsError, QueryError

_MOST_QUERY = 20_000


async def act(feed: Feed, place: Place, given: Mapping[str, str]) -> tuple[Place, Card]:
    """Does what a form asks for, and gives where the page is then and a card that says how it went."""
    what = given.get("what", "")
    try:
        if what == "sql":
            query = given.get("q", "")[:_MOST_QUERY]
            return replace(place, wishes={"q": query}), await _query(feed, query)
        if what == "silence":
            return place, await feed.ask(lambda: _silence(feed, given))
        if what == "unsilence":
            return place, await feed.ask(lambda: _unsilence(feed, given.get("rule", "")))
        raise QueryError(f"nothing is called {what[:40]!r}", "sql, silence or unsilence", "use the page's own forms")
    except OtelMetricsError as error:
        return place, Card("answer", "That did not work", notice(str(error), "bad"))


async def _query(feed: Feed, query: str) -> Card:
    if not query.strip():
        raise QueryError("the query is empty", "one SELECT", "for example: FROM sessions")
    began = time.monotonic()
    answer = await asyncio.to_thread(run_limited, feed.settings, query)
    return answer_card(answer, time.monotonic() - began)


def _silence(feed: Feed, given: Mapping[str, str]) -> Card:
    length = given.get("length", "")
    try:
        duration = Duration.parse(length)
    except ValueError:
        raise QueryError(f"a silence of {length[:40]!r}", EXPECTED, "for example 2h") from None
    rule = given.get("rule", "")
    silence_alerts(feed.storage, feed.answers.rules(), rule, {}, given.get("reason", ""), duration)
    feed.forget()
    return Card("answer", "Done", notice(f"{rule} is silenced for {duration}.", "good"))


def _unsilence(feed: Feed, rule: str) -> Card:
    ended = unsilence_alerts(feed.storage, rule)
    feed.forget()
    return Card("answer", "Done", notice(f"{ended} silence{'' if ended == 1 else 's'} of {rule} ended.", "good"))
