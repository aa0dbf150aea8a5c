"""Owns one open page in NiceGUI: its shell, its cards, which of them change, and where its user goes."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from otel_metrics._version import __version__
from otel_metrics.analytics.clickhouse.address import asked_place
from otel_metrics.delivery.page import shell
from otel_metrics.delivery.page.acts import act
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.catalogue import cards_of
from otel_metrics.delivery.page.feed import Feed
from otel_metrics.delivery.page.markup import join, tag
from otel_metrics.delivery.page.place import VIEWS, Place, place_of
from otel_metrics.delivery.page.views.states import not_possible
from otel_metrics.errors import OtelMetricsError

_FIRST_WAIT_S = 1.0


class Page:
    """A page in somebody's browser. `wake` asks for a refresh of all pages."""

    def __init__(self, feed: Feed, place: Place, wake: Callable[[], None]) -> None:
        self._feed, self._wake = feed, wake
        self.place = place
        self.is_seen = True
        self._cards: dict[str, _ShownCard] = {}
        self._problem = ""
        self._answer: Card | None = None
        with ui.header(fixed=False).classes("top"):
            self._header = ui.html(shell.header(place), sanitize=False)
        self._heading = ui.html(shell.heading(place), sanitize=False)
        self._grid = ui.element("div").classes("grid")
        with ui.element("footer"):
            ui.html(shell.footer(asked_place(feed.settings), __version__), sanitize=False)
        ui.on("go", self._on_go)
        ui.on("act", self._on_act)
        ui.on("seen", self._on_seen)

    async def begin(self, problem: str = "") -> None:
        """Shows the first cards, or that they come, within a second."""
        self._problem = problem
        showing = asyncio.ensure_future(self.refresh())
        done, _ = await asyncio.wait({showing}, timeout=_FIRST_WAIT_S)
        if not done and not self._cards:
            self._show([Card("state", "Reading the store", tag("p", "One moment: the page fills by itself."))])
            self._wake()

    async def refresh(self) -> None:
        """Shows what is known now of the view that the page is at."""
        place = self.place
        if self._problem:
            self._show(not_possible(self._problem))
            return
        cards = await self._feed.cards(cards_of, place)
        if place == self.place:
            self._show([*cards, *([self._answer] if self._answer else [])])

    def _show(self, cards: Cards) -> None:
        if list(self._cards) == [one.name for one in cards] and all(self._cards[one.name].takes(one) for one in cards):
            for one in cards:
                self._cards[one.name].update(one)
            return
        self._grid.clear()
        with self._grid:
            self._cards = {one.name: _ShownCard(one) for one in cards}

    async def _on_go(self, event: GenericEventArguments) -> None:
        url = str(event.args)[:50_000]
        try:
            self.place, self._problem, self._answer = place_of(url), "", None
        except OtelMetricsError as error:
            self._problem = str(error)
        self._header.content = shell.header(self.place)
        self._heading.content = shell.heading(self.place)
        ui.page_title(f"{VIEWS[self.place.view]} – otel-metrics")
        await self.refresh()
        ui.run_javascript("otelArrived()")

    async def _on_act(self, event: GenericEventArguments) -> None:
        given = {str(name): str(value) for name, value in event.args.items()} if isinstance(event.args, dict) else {}
        place, answer = await act(self._feed, self.place, given)
        self.place, self._answer = place, answer
        await self.refresh()
        ui.run_javascript(f"otelAnswered({json.dumps(self.place.url)})")

    def _on_seen(self, event: GenericEventArguments) -> None:
        self.is_seen = bool(event.args)
        if self.is_seen:
            self._wake()


class _ShownCard:
    """A card on the page."""

    def __init__(self, card: Card) -> None:
        self._card = card
        with ui.element("section").classes(_classes(card)) as section:
            section.props["id"] = f"card-{card.name}"
            section.props["aria-labelledby"] = f"title-{card.name}"
            self._html = ui.html(_inside(card), sanitize=False)
            self._chart = None if card.chart is None else _chart(card, dict(card.chart))

    def takes(self, card: Card) -> bool:
        """Whether this card can become that one."""
        return (card.chart is None) == (self._chart is None) and _classes(card) == _classes(self._card)

    def update(self, card: Card) -> None:
        """Changes what is different, and nothing else: the browser keeps focus and place."""
        before, self._card = self._card, card
        if _inside(card) != _inside(before):
            self._html.content = _inside(card)
        if self._chart is not None and card.chart != before.chart:
            self._chart.options.clear()
            self._chart.options.update(dict(card.chart or {}))
            self._chart.props["aria-label"] = card.summary
            self._chart.update()


def _classes(card: Card) -> str:
    return f"{'bare' if card.quiet else 'card'} span-{card.span}"


def _inside(card: Card) -> str:
    title = tag("h2", card.title, id=f"title-{card.name}", class_="unseen" if card.quiet else None)
    return join([title, card.body])


def _chart(card: Card, options: dict[str, Any]) -> ui.echart:
    chart = ui.echart(options, renderer="svg").classes("chart").style(f"height:{card.height_px}px")
    chart.props["role"], chart.props["aria-label"] = "img", card.summary
    return chart


def place_or_problem(url: str) -> tuple[Place, str]:
    """Where a URL leads, or the first view and why it leads nowhere."""
    try:
        return place_of(url), ""
    except OtelMetricsError as error:
        return Place(), str(error)
