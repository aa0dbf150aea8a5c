"""Owns the command `safe-to-send`."""

from typing import Annotated

import typer

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def safe_to_send(
    database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE,
    risk_percent: Annotated[float, typer.Option(metavar="P", help="How many of 100 drafts may be wrong.")] = 5,
    confidence: Annotated[float, typer.Option(metavar="C", help="How sure it must be, 0.5 to 1.")] = 0.95,
    least: Annotated[int, typer.Option(metavar="N", help="Judge no intent with fewer drafts.")] = 30,
    prompt: Annotated[str, typer.Option(metavar="V", help="The drafts of which prompt version: latest, all, or its name.")] = "latest",
) -> None:  # fmt: skip
    """Which intents could skip review at a chosen risk."""
    answer(database, form, lambda answers: answers.safe_to_send(hours, risk_percent, confidence, least, prompt))
