"""Owns what every question's command does: opens the store, asks, and prints the document in the form that was asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_metrics.delivery.cli.desk import reading
from otel_metrics.delivery.cli.options import Form
from otel_metrics.delivery.cli.streams import note, output_console, print_json, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from otel_metrics.analytics.answers import Answers


def answer(
    database: Path | None,
    form: Form,
    ask: "Callable[[Answers], dict[str, Any]]",
    view: "Callable[[dict[str, Any], str], RenderableType] | None" = None,
) -> None:
    """Prints the answer as sentences and tables, or as it looks in a `view` of its own, or as one JSON document."""
    from otel_metrics.delivery.cli.sections import SectionsView

    with reading(database) as desk:
        if form is Form.JSON:
            if not desk.exists:
                note(desk.absent())
            print_json(ask(desk.answers))
        elif desk.exists:
            show((view or SectionsView)(ask(desk.answers), desk.settings.timezone))
        else:
            output_console().print(desk.absent(), soft_wrap=True)
