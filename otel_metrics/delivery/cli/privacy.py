"""Owns the commands about copies and people: backup, and forget with what is out of its reach."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_metrics.delivery.cli.desk import is_there, settings_for, storage_of, take_in
from otel_metrics.delivery.cli.options import Database, Form, Printed
from otel_metrics.delivery.cli.progress import Work
from otel_metrics.delivery.cli.streams import output_console, print_json
from otel_metrics.errors import StoreError

if TYPE_CHECKING:
    from otel_metrics.store.forget import ForgetReport


def backup(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file to write; an older backup there is replaced.", show_default=False)],
    database: Database = None,
    form: Printed = Form.TABLE,
) -> None:  # fmt: skip
    """A copy of the database of one moment, while bots go on recording; the key of the id hashes lies beside it."""
    from otel_metrics.store.backup import back_up

    settings = settings_for(database)
    storage = storage_of(settings)
    if not is_there(storage):
        raise StoreError(
            f"there is no store at {settings.database}", "one in which something was recorded", "check --database"
        )
    take_in(storage)
    with Work("Copying the database"):
        made = back_up(storage.layout, path)
    if form is Form.JSON:
        print_json(
            {
                "path": str(made.path), "size_bytes": made.size_bytes, "sessions": made.sessions,
                "key": None if made.key is None else str(made.key), "segments": made.segments, "segments_bytes": made.segments_bytes,
            }
        )  # fmt: skip
        return
    console = output_console()
    sessions = f"{made.sessions:,} session{'' if made.sessions == 1 else 's'}"
    console.print(f"{sessions}, {made.size_bytes / 1e6:,.1f} MB in {made.path}", soft_wrap=True)
    if made.segments:
        console.print(
            f"of it {made.segments_bytes / 1e6:,.1f} MB in {made.segments:,} files in {made.path}.segments: keep the folder beside it",
            soft_wrap=True,
        )
    if made.key is not None:
        console.print(f"The key of the id hashes in {made.key}", soft_wrap=True)
    elif settings.id_key is not None:
        console.print("The key of the id hashes is METRICS_ID_KEY: keep it too.")


def forget(
    user: Annotated[str, typer.Option(metavar="ID", help="The id of a user or moderator, as the bot gives it.", show_default=False)],
    database: Database = None,
    form: Printed = Form.TABLE,
) -> None:  # fmt: skip
    """Take a user or moderator out of everything that the store holds, logs included; there is no way back."""
    from otel_metrics.analytics.cold_store import ColdStore
    from otel_metrics.store.forget import OUT_OF_REACH, ForgetReport, holds_anything

    settings = settings_for(database)
    storage = storage_of(settings)
    exists = holds_anything(storage.layout)
    report = ForgetReport()
    if exists:
        with Work("Forgetting"):
            report = storage.forget(user, ColdStore)
    if form is Form.JSON:
        print_json(
            {
                "deleted": report.deleted, "scrubbed": report.scrubbed, "files_rewritten": report.files_rewritten,
                "files_removed": report.files_removed, "out_of_reach": list(OUT_OF_REACH),
            }
        )  # fmt: skip
    elif exists:
        _print(report, OUT_OF_REACH)
    else:
        output_console().print(f"There is no store at {settings.database} yet: nobody to forget.", soft_wrap=True)


def _print(report: "ForgetReport", out_of_reach: tuple[str, ...]) -> None:
    console = output_console()
    lines = [f"{count:>12,}  rows of {table} deleted" for table, count in report.deleted.items()]
    lines += [f"{count:>12,}  rows of {table} without the id now" for table, count in report.scrubbed.items()]
    lines += [f"{'':>12}  {name} rewritten" for name in report.files_rewritten]
    lines += [f"{'':>12}  {name} removed: it is damaged and can not be rewritten" for name in report.files_removed]
    for line in lines or ["Nothing of this id is there."]:
        console.print(line, soft_wrap=True)
    console.print("Out of reach:")
    for place in out_of_reach:
        console.print(f"  · {place}", soft_wrap=True)
