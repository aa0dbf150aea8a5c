"""Owns the command `import`: which files, how far it is, and what came of each."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_metrics.delivery.cli.desk import settings_for, storage_of, take_in
from otel_metrics.delivery.cli.options import Database, Form, Printed
from otel_metrics.delivery.cli.progress import Work
from otel_metrics.delivery.cli.streams import output_console, print_json

if TYPE_CHECKING:
    from otel_metrics.store.imports import ImportedFile

_REASONS = {
    "unreadable": "could not be read",
    "too_long": "longer than 64 MB",
    "no_session": "spans of no session, which a store does not keep",
    "forgotten": "of people who were forgotten",
    "of_this_store": "written by this store's own bots",
    "unnumbered": "of an old version, without numbers: nothing tells whether they were read before",
}


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="Journals of other hosts, or OTLP JSON of a collector's file exporter; also .gz.", show_default=False),
    ],
    database: Database = None,
    form: Printed = Form.TABLE,
) -> None:  # fmt: skip
    """Take in what other hosts recorded, each line and span once, however often it is given."""
    from otel_metrics.analytics.cold_store import ColdStore
    from otel_metrics.store.imports import Import

    settings = settings_for(database)
    storage = storage_of(settings)
    take_in(storage)  # also makes the store where there is none yet
    with Work("Importing") as work:
        reports = Import(storage, settings, ColdStore, work.update).run(files)
    if form is Form.JSON:
        print_json([_document(one) for one in reports])
        return
    for report in reports:
        _print(report)


def _document(report: "ImportedFile") -> dict[str, object]:
    return {
        "file": str(report.path), "kind": report.kind or None, "stored": report.stored, "known": report.known,
        "skipped": {reason: count for reason, count in sorted(report.skipped.items()) if count},
        "unfinished_bytes": report.unfinished_bytes,
    }  # fmt: skip


def _print(report: "ImportedFile") -> None:
    console = output_console()
    console.print(str(report.path), soft_wrap=True)
    lines = [(report.stored, "records stored")]
    lines += [(report.known, "were here already")] if report.known else []
    lines += [(count, _REASONS[reason]) for reason, count in sorted(report.skipped.items()) if count]
    if report.unfinished_bytes:
        lines.append((report.unfinished_bytes, "bytes of a last line that is not whole yet: import again to go on"))
    for count, words in lines:
        console.print(f"{count:>12,}  {words}", soft_wrap=True)
