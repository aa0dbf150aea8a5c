"""Owns the command that a newcomer runs first: the demo, and what it says to do next."""

from typing import Annotated

import typer

from otel_metrics.delivery.cli.desk import program_called, reading, settings_for
from otel_metrics.delivery.cli.options import Database, Form, Printed
from otel_metrics.delivery.cli.streams import output_console, print_json, show


def demo(
    database: Database = None,
    sessions: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="How many sessions.")] = 200,
    seed: Annotated[int, typer.Option(metavar="S", help="Another number gives other figures.")] = 7,
    send: Annotated[bool, typer.Option("--send", help="Also send the spans where the OTEL_* variables say.")] = False,
    form: Printed = Form.TABLE,
) -> None:
    """A moderated bot in the small, its last 24 hours in a store to look at: the place to begin."""
    from otel_metrics.delivery.cli.live import dashboard_view
    from otel_metrics.delivery.cli.progress import Work
    from otel_metrics.delivery.demo import run_demo

    settings = settings_for(database)
    with Work(f"Running a bot for {sessions:,} sessions") as work:
        played = run_demo(settings, sessions=sessions, seed=seed, send=send, progress=work.update)
    with reading(database, local=True) as desk:
        document = desk.answers.figures(24)
        if form is Form.JSON:
            print_json(document)
            return
        show(dashboard_view(desk, document, 24))
        option = desk.option
        console, program = output_console(), program_called()
        console.print("\nWhat next", style="head")
        for line in (
            f"{program} sessions{option}",
            f"{program} session {played.worth_a_look[:13]}{option}",
            f"{program} queue{option}",
            f'{program} sql "SELECT outcome, count(*) AS n FROM sessions GROUP BY 1"{option}',
        ):
            console.print(f"  {line}", soft_wrap=True)
