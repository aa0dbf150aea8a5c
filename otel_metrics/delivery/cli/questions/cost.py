"""Owns the command `cost` and what of its document stands in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer
from otel_metrics.delivery.cli.sections import SectionsView

_COLUMNS = {
    "calls": "calls", "unpriced_calls": "unpriced", "foreign_calls": "foreign", "input_tokens": "input",
    "output_tokens": "output", "total_tokens": "tokens", "known_cost": "known_cost",
}  # fmt: skip
_NAMES = ("stage", "model", "provider", "prompt_version", "day", "currency", "session_id", "reason")
_RARE = ("unpriced_calls", "foreign_calls", "calls_without_tokens")


def cost(
    database: Database = None,
    hours: Hours = 24,
    moderator_hour_rate: Annotated[
        float | None, typer.Option(metavar="R", help="What an hour of a moderator costs. Default: METRICS_MODERATOR_HOUR_RATE.", show_default=False)
    ] = None,
    speech_minute_rate: Annotated[
        float | None, typer.Option(metavar="R", help="What a minute of speech costs. Default: METRICS_SPEECH_MINUTE_RATE.", show_default=False)
    ] = None,
    currency: Annotated[
        str | None, typer.Option(metavar="C", help="The currency of rates and sums. Default: METRICS_CURRENCY, USD.", show_default=False)
    ] = None,
    form: Printed = Form.TABLE,
) -> None:  # fmt: skip
    """Tokens and money by session, stage, model and delivered answer."""
    answer(
        database,
        form,
        lambda answers: answers.cost(hours, moderator_hour_rate, speech_minute_rate, currency),
        view=cost_view,
    )


def cost_view(document: Mapping[str, Any], zone: str) -> SectionsView:
    """The document without what says the same twice or nothing; --format json has all of it."""
    shown: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, list) and name != "sentences":
            if value and name != "by_currency":
                shown[name] = _narrow(value)
        elif not _is_idle(name, value, document):
            shown[name] = value
    if document["foreign_calls"]:
        shown["by_currency"] = document["by_currency"]
    return SectionsView(shown, zone)


def _is_idle(name: str, value: Any, document: Mapping[str, Any]) -> bool:
    """A known sum beside the whole one, bounds beside a known sum, and counts of what is rare and did not happen."""
    if name in _RARE:
        return not value
    if name in {"least_cost", "most_cost"}:
        return value is None or document["cost"] is not None
    return name.startswith("known_") and value == document[name.removeprefix("known_")]


def _narrow(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows with short titles and without rare columns that are zero in all of them."""
    names = [name for name in rows[0] if name in _NAMES or name in _COLUMNS]
    kept = [name for name in names if name not in _RARE or any(row[name] for row in rows)]
    return [{_COLUMNS.get(name, name): row[name] for name in kept} for row in rows]
