"""Owns what a view consists of: cards, each with a heading and HTML or a chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_metrics.delivery.page.markup import Markup

Options = Mapping[str, Any]
_NOTHING = Markup("")


@dataclass(frozen=True, slots=True)
class Card:
    """One part of a view. `name` is its id on the page and never changes; `span` is how many of twelve columns it takes.

    `chart` holds the options of an ECharts chart, which `summary` puts into words for who can not see it.
    """

    name: str
    title: str
    body: Markup = _NOTHING
    chart: Options | None = None
    summary: str = ""
    span: int = 12
    quiet: bool = False
    height_px: int = 260


Cards = Sequence[Card]
