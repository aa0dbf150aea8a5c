"""Owns the application itself: its name, help and version, and which commands it has in which order."""

from typing import Annotated

import typer

from otel_metrics._version import __version__
from otel_metrics.delivery.cli import asking, begin, privacy, upkeep
from otel_metrics.delivery.cli.alert_watch import watch
from otel_metrics.delivery.cli.alerts import alerts_app
from otel_metrics.delivery.cli.clickhouse import clickhouse
from otel_metrics.delivery.cli.importing import import_files
from otel_metrics.delivery.cli.questions.capacity import capacity
from otel_metrics.delivery.cli.questions.corrections import corrections
from otel_metrics.delivery.cli.questions.cost import cost
from otel_metrics.delivery.cli.questions.moderators import moderators
from otel_metrics.delivery.cli.questions.oversight import oversight
from otel_metrics.delivery.cli.questions.preferences import preferences
from otel_metrics.delivery.cli.questions.safe_to_send import safe_to_send
from otel_metrics.delivery.cli.questions.stages import stages
from otel_metrics.delivery.cli.questions.system import system
from otel_metrics.delivery.cli.questions.users import users
from otel_metrics.delivery.cli.replaying import replay
from otel_metrics.delivery.cli.serving import serve

app = typer.Typer(
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
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
    "Ask": (asking.dashboard, asking.sessions, asking.session, asking.queue, asking.sql, watch, serve),
    "Understand": (
        stages,
        corrections,
        moderators,
        capacity,
        cost,
        users,
        system,
        safe_to_send,
        oversight,
    ),
    "Take out and keep": (
        upkeep.export,
        preferences,
        replay,
        privacy.backup,
        upkeep.compact,
        upkeep.prune,
        privacy.forget,
        upkeep.doctor,
        clickhouse,
    ),
}.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.command("import", rich_help_panel="Take out and keep")(import_files)
app.add_typer(alerts_app, name="alerts", rich_help_panel="Ask")
