"""Owns the command `clickhouse`: the schema that a ClickHouse needs before it can be asked, printed or made."""

from typing import Annotated

import typer

from otel_metrics.delivery.cli.streams import note, output_console
from otel_metrics.errors import SettingError
from otel_metrics.settings import load


def clickhouse(
    apply: Annotated[
        bool, typer.Option("--apply", help="Make tables, functions and views at METRICS_BACKEND; what is in the tables stays.")
    ] = False,
) -> None:  # fmt: skip
    """Print the schema of a ClickHouse that the collector writes and that can be asked, or make it there."""
    from otel_metrics.analytics.clickhouse.schema import statements

    settings = load({})
    if not apply:
        output_console().print(
            ";\n\n".join(statements(settings.retention_days)) + ";", soft_wrap=True, markup=False, highlight=False
        )
        return
    if settings.backend is None:
        raise SettingError(
            "METRICS_BACKEND names no ClickHouse",
            "clickhouse://user:password@host:8123/database",
            "set it to the server that is to be prepared",
        )
    from otel_metrics.analytics.clickhouse.engine import ClickHouseEngine

    engine = ClickHouseEngine(settings.backend)
    try:
        engine.prepare(settings.retention_days)
    finally:
        engine.close()
    note(
        "tables, functions and views are there; rows are kept for as long as METRICS_RETENTION_DAYS said when the tables were made"
    )
