"""Owns the command `serve`: the live page in the browser, and a watch over the alerts, until Ctrl-C."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from otel_metrics.delivery.cli.alert_watch import interval_s, transition_line
from otel_metrics.delivery.cli.desk import settings_for, storage_of
from otel_metrics.delivery.cli.options import Database
from otel_metrics.delivery.cli.streams import note, output_console
from otel_metrics.errors import MissingExtra

if TYPE_CHECKING:
    from otel_metrics.analytics.alerting.states import Transition


def serve(
    database: Database = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen; others than this machine need the token that is printed.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65_535, help="The port; 0 takes any that is free.")] = 8321,
    name: Annotated[list[str] | None, typer.Option(metavar="HOST[:PORT]", help="A name under which a proxy passes requests on; may be given again. The token is needed then.")] = None,
    interval: Annotated[str, typer.Option(metavar="TIME", help="How long to wait between two looks at the alerts.")] = "60s",
    alerts: Annotated[bool, typer.Option("--alerts/--no-alerts", help="Evaluate the alerts and send messages, as `watch` does.")] = True,
) -> None:  # fmt: skip
    """The live page in the browser: queue, figures, sessions, alerts, which it evaluates; Ctrl-C ends it."""
    try:
        from otel_metrics.delivery.page.server import listen
        from otel_metrics.delivery.page.server import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("otel_metrics"):
            raise
        raise MissingExtra(
            f"the library {error.name} is not installed", "the package with its extra `dashboard`", "pip install '.[dashboard]' in its copy"
        ) from error  # fmt: skip
    from otel_metrics.delivery.page.feed import Feed
    from otel_metrics.delivery.page.watch import Watch

    every_s = interval_s(interval)
    settings = settings_for(database)
    address = listen(host, port, settings.page_token, name or ())
    feed = Feed(settings, storage_of(settings))

    def ready() -> None:
        output_console().print(f"The page is at {address.link}", soft_wrap=True)
        if address.doors.token is not None:
            note("who has this link sees everything; the connection is not encrypted: put a proxy with TLS before it")

    def show(change: "Transition") -> None:
        output_console().print(transition_line(change, settings.timezone), soft_wrap=True)
        sys.stdout.flush()

    run(feed, address, ready, Watch(feed, every_s, note, show) if alerts else None)
