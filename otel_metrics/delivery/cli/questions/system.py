"""Owns the command `system`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer

if TYPE_CHECKING:
    from otel_metrics.analytics.answers import Answers

Metric = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only this system metric, by hour too.", show_default=False)
]

_READABLE = {"By": (1e-6, "MB"), "1": (100, "%")}
"""Units of OpenTelemetry as people read them: by what a value is multiplied, and its unit then."""


def system(database: Database = None, hours: Hours = 24, metric: Metric = None, form: Printed = Form.TABLE) -> None:
    """Memory, processor, queue length, restarts, errors and the state of this package itself."""

    def ask(answers: "Answers") -> dict[str, Any]:
        document = answers.system(hours, metric=metric)
        return document if form is Form.JSON else _for_people(document, metric)

    answer(database, form, ask)


def _for_people(document: dict[str, Any], metric: str | None) -> dict[str, Any]:
    """A terminal has no room for every metric by hour, nor for which one it is in each row where that was asked for."""
    by_hour = [
        {key: value for key, value in _scaled(one).items() if key != "metric"} for one in document["metrics_by_hour"]
    ]
    hint = [] if metric or not by_hour else ["--metric NAME shows a system metric by hour."]
    shown = {**document, "sentences": [*document["sentences"], *hint], "metrics_by_hour": by_hour}
    shown["metrics"] = [_scaled(one) for one in document["metrics"]]
    if not metric:
        del shown["metrics_by_hour"]
    return shown


def _scaled(one: dict[str, Any]) -> dict[str, Any]:
    """Bytes as megabytes and parts of one as percentages, which are easier to compare; and no more than a line holds."""
    factor, unit = _READABLE.get(one["unit"], (1, one["unit"]))
    figures = {name: round(one[name] * factor, 2) for name in ("latest", "mean", "max")}
    named = {name: value for name, value in one.items() if name in {"hour", "metric", "host", "labels"}}
    return {**named, **figures, "unit": unit, "samples": one["samples"]}
