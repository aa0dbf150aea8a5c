"""Owns what every view shows where there are no figures: how to begin, what is wrong with the store, a place that is none."""

import shlex
from typing import TYPE_CHECKING

from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.figures import notice
from otel_metrics.delivery.page.markup import Markup, join, multiline, tag

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_TITLES = {
    "damaged": "The store is damaged",
    "newer": "The store is newer than this program",
    "failed": "The store can not be read now",
}


def without_figures(feed: "Feed") -> Cards | None:
    """The cards in place of any view's; None where the store can be asked."""
    health = feed.health
    if health.state == "fine":
        return None
    if health.state == "reading":
        return [Card("state", "Reading the store", notice("One moment: the page fills by itself."))]
    if health.state == "empty":
        return [Card("state", "Nothing is recorded yet", _beginning(feed))]
    return [Card("state", _TITLES[health.state], notice(health.message, "bad"))]


def held_up(feed: "Feed") -> Cards:
    """What there is to say of a store that can be asked, though not all of it."""
    return (
        [Card("held-up", "Not everything is here", notice(feed.health.message, "bad"))] if feed.health.message else []
    )


def not_possible(message: str) -> Cards:
    """What a place gets that can not be shown."""
    return [Card("state", "This can not be shown", notice(message, "bad"))]


def _beginning(feed: "Feed") -> Markup:
    database = shlex.quote(str(feed.settings.database))
    bot = (
        "import otel_metrics as metrics\n\n"
        f"metrics.configure(database={str(feed.settings.database)!r})\n"
        "session = metrics.create_session(user_id=1, chat_id=1)\n"
        'with metrics.timer(session, 1, 1, "ai_processing"):\n'
        "    ...  # ask the model\n"
        "metrics.end_session(session)"
    )
    return join(
        [
            tag("p", "There is no store at ", tag("code", str(feed.settings.database)), " yet. This page fills by itself as soon as there is one."),
            tag("p", "A bot in the small, to look at:"), tag("pre", f"otel-metrics demo --database {database}", tabindex=0),
            tag("p", "Or your own bot:"), tag("pre", multiline(bot), tabindex=0),
        ]
    )  # fmt: skip
