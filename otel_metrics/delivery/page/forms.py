"""Owns the fields of the page's forms, each with its label."""

from collections.abc import Mapping, Sequence

from otel_metrics.delivery.page.markup import Child, Markup, tag


def field(
    name: str, label: str, value: str = "", *, hint: str = "", search: bool = False, required: bool = False
) -> Markup:
    """A line of text."""
    entry = tag(
        "input", name=name, value=value, placeholder=hint or None, type="text", autocomplete="off", spellcheck="false",
        data_search=search, required=required, size=16,
    )  # fmt: skip
    return tag("label", label, entry)


def choice(name: str, label: str, options: Mapping[str, str] | Sequence[str], value: str = "") -> Markup:
    """One of several; options by what they mean to the page, or just as they are called."""
    given = options if isinstance(options, Mapping) else {one: one for one in options}
    return tag(
        "label",
        label,
        tag(
            "select",
            [tag("option", title, value=key, selected=key == value) for key, title in given.items()],
            name=name,
        ),
    )


def hidden(name: str, value: str) -> Markup:
    """What goes along."""
    return tag("input", type="hidden", name=name, value=value)


def search_form(action: str, *content: Child) -> Markup:
    """A form whose fields become the address."""
    return tag("form", *content, action=action, method="get", data_go=True, role="search")


def acting_form(what: str, *content: Child, label: str) -> Markup:
    """A form that does something; the page sends it over its own socket."""
    return tag("form", *content, data_act=what, method="post", action="#", aria_label=label)
