"""Owns which function makes the cards of which view, and what is shown where one can not."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from otel_metrics.delivery.page.card import Cards
from otel_metrics.delivery.page.place import Place
from otel_metrics.delivery.page.views.alerts import alerts
from otel_metrics.delivery.page.views.capacity import capacity
from otel_metrics.delivery.page.views.corrections import corrections
from otel_metrics.delivery.page.views.cost import cost
from otel_metrics.delivery.page.views.moderators import moderators
from otel_metrics.delivery.page.views.now import now
from otel_metrics.delivery.page.views.overview import overview
from otel_metrics.delivery.page.views.sessions import sessions
from otel_metrics.delivery.page.views.sql import sql
from otel_metrics.delivery.page.views.states import held_up, not_possible, without_figures
from otel_metrics.errors import OtelMetricsError

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_MAKERS: "dict[str, Callable[[Feed, Place], Cards]]" = {
    "now": now,
    "overview": overview,
    "corrections": corrections,
    "moderators": moderators,
    "capacity": capacity,
    "cost": cost,
    "sessions": sessions,
    "alerts": alerts,
    "sql": sql,
}


def cards_of(feed: "Feed", place: Place) -> Cards:
    """The cards of a place; never an error of ours, but what it says."""
    instead = without_figures(feed)
    if instead is not None:
        return instead
    try:
        cards = _MAKERS[place.view](feed, place)
    except OtelMetricsError as error:
        cards = not_possible(str(error))
    except Exception as error:  # one view that fails, for want of memory say, must not end the others
        cards = not_possible(f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}")
    return [*held_up(feed), *cards]
