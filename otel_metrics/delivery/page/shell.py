"""Owns what surrounds every view: navigation, time ranges, the switch between dark and light, the way to the content."""

from otel_metrics.delivery.page.markup import Markup, join, tag
from otel_metrics.delivery.page.place import RANGES, VIEWS, Place


def header(place: Place) -> Markup:
    """The navigation and the controls."""
    views = [
        tag(
            "li",
            tag(
                "a",
                title,
                href=place.at(view).url,
                data_go=True,
                id=f"nav-{view}",
                aria_current="page" if view == place.view else None,
            ),
        )
        for view, title in VIEWS.items()
    ]
    ranges = [
        tag("a", title, href=place.over(hours).url, data_go=True, aria_current="true" if hours == place.hours else None)
        for hours, title in RANGES.items()
    ]
    if place.hours not in RANGES:
        ranges.append(tag("a", f"{place.hours:g} h", href=place.url, data_go=True, aria_current="true"))
    return join(
        [
            tag("a", "Skip to the content", href="#content", class_="skip"),
            tag("a", tag("span", class_="mark", aria_hidden="true"), "otel-metrics", href="/now", data_go=True, class_="brand"),
            tag("nav", tag("ul", views), aria_label="Views", class_="views"),
            tag("nav", ranges, aria_label="Time range", class_="ranges"),
            tag("button", tag("span", "◐", aria_hidden="true"), type="button", id="theme", data_theme_switch=True, aria_label="Dark or light", title="Dark or light (t)"),
        ]
    )  # fmt: skip


def heading(place: Place) -> Markup:
    """The title of the view."""
    return tag("h1", VIEWS[place.view], id="content", tabindex=-1)


def footer(place: str, version: str) -> Markup:
    """Where the figures come from, and the keys."""
    keys = "Keys: 1 to 9 for the views, [ and ] for the time range, / to search, t for dark and light"
    return tag(
        "p",
        f"otel-metrics {version} · ",
        tag("code", place),
        tag("span", f" · {keys}", class_="hint"),
        class_="foot",
    )
