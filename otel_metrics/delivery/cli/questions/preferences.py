"""Owns the command `preferences`."""

from pathlib import Path
from typing import Annotated

import typer

from otel_metrics.delivery.cli.desk import reading
from otel_metrics.delivery.cli.options import Database, Form, Printed, Since, Until, time_given
from otel_metrics.delivery.cli.streams import note, print_json, show
from otel_metrics.delivery.cli.upkeep import check_target


def preferences(
    output: Annotated[Path, typer.Option(metavar="PATH", help="The JSON Lines file to write.", show_default=False)],
    since: Since = None,
    until: Until = None,
    database: Database = None,
    form: Printed = Form.TABLE,
) -> None:
    """Drafts and corrections as preference pairs (prompt, chosen, rejected) for training; status 1 where there is none."""
    from otel_metrics.delivery.cli.sections import SectionsView

    check_target(output, database)
    with reading(database, local=True) as desk:
        if not desk.exists:
            note(desk.absent())
        document = desk.answers.preferences(output, time_given(since), time_given(until))
        if form is Form.JSON:
            print_json(document)
        else:
            show(SectionsView(document, desk.settings.timezone))
    if not document["pairs"]:
        raise typer.Exit(1)
