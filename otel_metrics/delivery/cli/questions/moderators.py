"""Owns the command `moderators`."""

from typing import Annotated

import typer

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed
from otel_metrics.delivery.cli.questions.answering import answer


def moderators(
    database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE,
    least: Annotated[int, typer.Option(metavar="N", help="Give no figure of fewer samples.")] = 20,
    words_per_minute: Annotated[float, typer.Option(metavar="W", help="How fast a draft can be read.")] = 238,
    flag_percent: Annotated[
        float, typer.Option(metavar="P", help="Flag who approves more than this share faster than it can be read.")
    ] = 50,
) -> None:  # fmt: skip
    """What each moderator does, how long it takes and how far it can be relied on."""
    answer(database, form, lambda answers: answers.moderators(hours, least, words_per_minute, flag_percent))
