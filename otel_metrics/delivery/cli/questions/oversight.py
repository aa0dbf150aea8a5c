"""Owns the command `oversight`."""

from typing import Annotated

import typer

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed, Since, Until, time_given
from otel_metrics.delivery.cli.questions.answering import answer


def oversight(
    database: Database = None,
    hours: Hours = 24,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(metavar="N", help="How many decisions to list, the newest first.")] = 100,
    form: Printed = Form.TABLE,
) -> None:
    """Who approved, corrected or rejected what and when, and deliveries that differ from what was approved."""
    answer(
        database,
        form,
        lambda answers: answers.oversight(hours, since=time_given(since), until=time_given(until), limit=limit),
    )
