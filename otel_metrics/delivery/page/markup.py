"""Owns making HTML: every text becomes harmless here, so that nothing from a store can be markup."""

from collections.abc import Iterable
from html import escape
from typing import Union

from otel_metrics.delivery.cli.text import clean

Child = Union["Markup", str, int, float, None, Iterable["Child"]]
_EMPTY = frozenset({"input", "br", "hr", "meta", "col"})


class Markup(str):
    """Text that is HTML already; only this module makes it."""

    __slots__ = ()


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element. Children that are no `Markup` are escaped; `class_` is `class`, `aria_label` is `aria-label`."""
    given = "".join(_attribute(key, value) for key, value in attributes.items())
    inside = "" if name in _EMPTY else f"{join(children)}</{name}>"
    return Markup(f"<{name}{given}>{inside}")


def join(children: Child) -> Markup:
    """Children one after the other."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str | int | float):
        return Markup(escape(clean(children)))
    return Markup("".join(join(child) for child in children))


def multiline(text: str) -> Markup:
    """Text whose lines stay lines."""
    return Markup("\n".join(join(line) for line in text.split("\n")))


def _attribute(key: str, value: str | float | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(clean(value))}"'
