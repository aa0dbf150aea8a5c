"""Owns the command `stages`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer

if TYPE_CHECKING:
    from otel_metrics.analytics.answers import Answers

Stage = Annotated[str | None, typer.Option(metavar="NAME", help="Only this stage.", show_default=False)]
Improvement = Annotated[float, typer.Option(metavar="P", help="What if the bottleneck took P percent less?")]


def stages(
    database: Database = None, hours: Hours = 24, stage: Stage = None, improvement: Improvement = 20.0,
    form: Printed = Form.TABLE,
) -> None:  # fmt: skip
    """Where the time of a session goes: stages, waiting against working, the bottleneck."""

    def ask(answers: "Answers") -> dict[str, Any]:
        document = answers.stages(hours, stage=stage, improvement_percent=improvement)
        return document if form is Form.JSON else _of_one_stage(document, stage)

    answer(database, form, ask)


def _of_one_stage(document: dict[str, Any], stage: str | None) -> dict[str, Any]:
    """Hours and days of every stage are too long for a terminal: those of one stage, by itself of the bottleneck."""
    names = [one["stage"] for one in document["by_stage"]]
    chosen = next((one for one in (stage, document["bottleneck"], *names) if one in names), None)
    shown = {
        name: [
            {key: value for key, value in one.items() if key != "stage"}
            for one in document[name]
            if one["stage"] == chosen
        ]
        for name in ("by_hour", "by_day")
    }
    hint = [f"Hours and days are of {chosen}; --stage NAME shows another."] if chosen and stage is None else []
    return {**document, **shown, "sentences": [*document["sentences"], *hint]}
