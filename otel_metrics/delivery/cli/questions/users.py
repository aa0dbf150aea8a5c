"""Owns the command `users`."""

from typing import Annotated

import typer

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer

Within = Annotated[float, typer.Option("--within", metavar="H", help="Who comes again within H hours is a repeat.")]


def users(database: Database = None, hours: Hours = 24, within: Within = 24.0, form: Printed = Form.TABLE) -> None:
    """Sessions, peak hours, repeat contacts and response times as users feel them."""
    answer(database, form, lambda answers: answers.users(hours, within_hours=within))
