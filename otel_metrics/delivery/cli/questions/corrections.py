"""Owns the command `corrections`."""

from typing import Annotated

import typer

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def corrections(
    database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE,
    least: Annotated[int, typer.Option(metavar="N", help="Give no figure of fewer samples.")] = 10,
) -> None:  # fmt: skip
    """What moderators correct: how much, of what kind, for which model and prompt, and whether it falls."""
    answer(database, form, lambda answers: answers.corrections(hours, least))
