"""Owns the application itself: its name, help and version, and which commands it has in which order."""

from typing import Annotated

import typer

from otel_metrics._version import __version__
from otel_metrics.delivery.cli import asking, begin, privacy, upkeep

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
    help="Metrics of a chat bot whose answers are reviewed by people: from question to delivery, in one local store.",
)  # fmt: skip


def _version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"otel-metrics {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda value: _version(asked=value), is_eager=True, help="Print it and end.")
    ] = False,
) -> None:  # fmt: skip
    """Shows the help where no command is given."""
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


for panel, commands in {
    "Begin": (begin.demo,),
    "Ask": (asking.dashboard, asking.alerts, asking.sessions, asking.session, asking.queue, asking.sql),
    "Take out and keep": (upkeep.export, privacy.backup, upkeep.prune, privacy.forget, upkeep.doctor),
}.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
