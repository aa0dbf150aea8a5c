"""Owns where on the page somebody is: the view, the time range and its other wishes, read from and written to a URL."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlencode, urlsplit

from otel_metrics.errors import QueryError

VIEWS = {
    "now": "Now",
    "overview": "Overview",
    "corrections": "Corrections",
    "moderators": "Moderators",
    "capacity": "Capacity",
    "cost": "Cost",
    "sessions": "Sessions",
    "alerts": "Alerts",
    "sql": "SQL",
}
CALM = frozenset({"corrections", "moderators", "capacity", "cost"})
"""Views that say how things go and not what happens now: figures a minute old will do."""
RANGES = {1.0: "1 h", 6.0: "6 h", 24.0: "24 h", 168.0: "7 d", 720.0: "30 d"}
_MOST_HOURS = 24.0 * 366 * 10
_MOST_WISHES, _MOST_TEXT = 20, 20_000


@dataclass(frozen=True)
class Place:
    """A view with its time range in hours and its own wishes, such as a search."""

    view: str = "now"
    hours: float = 24.0
    wishes: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The path and query that lead here."""
        given = ({} if self.hours == 24.0 else {"hours": f"{self.hours:g}"}) | dict(sorted(self.wishes.items()))
        return f"/{self.view}" + (f"?{urlencode(given)}" if given else "")

    def at(self, view: str, **wishes: str) -> "Place":
        """Another view with the same time range."""
        return Place(view, self.hours, wishes)

    def over(self, hours: float) -> "Place":
        """The same with another time range."""
        return replace(self, hours=hours)


def place_of(url: str) -> Place:
    """The place that a URL leads to; `QueryError` for one that leads nowhere."""
    parts = urlsplit(url)
    view = parts.path.strip("/") or "now"
    if view not in VIEWS:
        raise QueryError(f"no view {view[:40]!r}", f"one of {', '.join(VIEWS)}", "choose one above")
    pairs = parse_qsl(parts.query[: 2 * _MOST_TEXT])[:_MOST_WISHES]
    wishes = {name: value[:_MOST_TEXT] for name, value in pairs if value.strip()}
    return Place(view, hours_of(wishes.pop("hours", "24")), wishes)


def hours_of(text: str) -> float:
    """A time range in hours; `QueryError` for one that is none."""
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= _MOST_HOURS:
        raise QueryError(f"hours={text[:40]!r}", "a number of hours above 0", "choose a time range above")
    return hours
