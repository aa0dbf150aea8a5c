"""Owns the command `serve`: the live page in the browser until Ctrl-C."""

from typing import Annotated

import typer

from otel_metrics.delivery.cli.desk import settings_for, storage_of
from otel_metrics.delivery.cli.options import Database
from otel_metrics.delivery.cli.streams import note, output_console
from otel_metrics.errors import MissingExtra


def serve(
    database: Database = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen; others than this machine need the token that is printed.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65_535, help="The port; 0 takes any that is free.")] = 8321,
    name: Annotated[list[str] | None, typer.Option(metavar="HOST[:PORT]", help="A name under which a proxy passes requests on; may be given again. The token is needed then.")] = None,
) -> None:  # fmt: skip
    """The live page in the browser: queue, figures, sessions, alerts; Ctrl-C ends it."""
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

    settings = settings_for(database)
    address = listen(host, port, settings.page_token, name or ())

    def ready() -> None:
        output_console().print(f"The page is at {address.link}", soft_wrap=True)
        if address.doors.token is not None:
            note("who has this link sees everything; the connection is not encrypted: put a proxy with TLS before it")

    run(Feed(settings, storage_of(settings)), address, ready)
