"""Owns the options that several commands share, in the words of their help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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
Printed = Annotated[Form, typer.Option("--format", help="For people, or one JSON document.")]
PrintedRows = Annotated[RowForm, typer.Option("--format", help="For people, one JSON document, or CSV.")]
