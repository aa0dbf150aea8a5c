"""Owns the options that several commands share, in the words of their help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


def time_given(text: str | None) -> str | float | None:
    """A time as text, or epoch seconds."""
    if text is None:
        return None
    try:
        return float(text) if "-" not in text else text
    except ValueError:
        return text


class Form(StrEnum):
    """How figures are printed."""

    TABLE = "table"
    JSON = "json"


class RowForm(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class FileForm(StrEnum):
    """What an export writes."""

    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"
    SQLITE = "sqlite"


Database = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="The SQLite file; its log is the .jsonl beside it. Default: METRICS_DATABASE, metrics.db.",
        show_default=False,
    ),
]
Hours = Annotated[float, typer.Option(metavar="H", help="How far to look back, in hours.")]
Since = Annotated[str | None, typer.Option(metavar="T", help="Only what is later: ISO-8601 or epoch seconds.")]
Until = Annotated[str | None, typer.Option(metavar="T", help="Only up to this time.")]
Watch = Annotated[bool, typer.Option("--watch", help="Stay and follow; Ctrl-C ends it.")]
Printed = Annotated[Form, typer.Option("--format", help="For people, or one JSON document.")]
PrintedRows = Annotated[RowForm, typer.Option("--format", help="For people, one JSON document, or CSV.")]
