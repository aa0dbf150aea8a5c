"""Owns the commands that do something to a store or a file: export, compact, prune, doctor."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from otel_metrics.delivery.cli.desk import is_there, reading, settings_for, storage_of, take_in
from otel_metrics.delivery.cli.options import Database, FileForm, Form, Printed, Since, Until, time_given
from otel_metrics.delivery.cli.streams import note, output_console, print_json, show
from otel_metrics.errors import SettingError, StoreError
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

if TYPE_CHECKING:
    from otel_metrics.store.health import Check

_WAIT_S = 10.0
_FORM_OF_SUFFIX = {
    ".csv": FileForm.CSV, ".json": FileForm.JSON, ".jsonl": FileForm.JSONL, ".ndjson": FileForm.JSONL,
    ".parquet": FileForm.PARQUET, ".db": FileForm.SQLITE, ".sqlite": FileForm.SQLITE, ".sqlite3": FileForm.SQLITE,
}  # fmt: skip


def export(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="processing_metrics, correction_metrics, sessions, …", show_default=False)],
    output: Annotated[Path, typer.Option(metavar="PATH", help="The file to write.", show_default=False)],
    form: Annotated[
        FileForm | None, typer.Option("--format", help="Without it the ending of PATH tells.", show_default=False)
    ] = None,
    since: Since = None,
    until: Until = None,
    database: Database = None,
) -> None:  # fmt: skip
    """One table as a file for elsewhere: CSV, JSON, JSON Lines, Parquet or SQLite."""
    from otel_metrics.delivery.cli.progress import Work

    form = form or _FORM_OF_SUFFIX.get(output.suffix.lower())
    if form is None:
        raise typer.BadParameter(f"{output} does not tell; give one of {', '.join(FileForm)}", param_hint="--format")
    check_target(output, database)
    with reading(database) as desk:
        if not desk.exists:
            note(desk.absent())
        with Work(f"Writing {output.name}") as work:
            rows = desk.answers.export(table, output, form.value, time_given(since), time_given(until), work.update)
    output_console().print(f"{rows:,} row{'' if rows == 1 else 's'} of {table} in {output}", soft_wrap=True)


def check_target(output: Path, database: Path | None) -> None:
    """An export replaces the file of its name: never one of the store's, never a device."""
    from otel_metrics.store.own_files import is_of_store

    settings = settings_for(database)
    layout = StoreLayout(settings.database, settings.log_file)
    if is_of_store(layout, output):
        raise SettingError(f"{output} is a file of the store", "another file", "give another --output")
    if output.exists() and not output.is_file():
        raise SettingError(f"{output} is no plain file", "the name of a file to write", "give another --output")


def compact(database: Database = None, form: Printed = Form.TABLE) -> None:
    """Move rows of sessions that are over into columnar files, where questions over many days are fast."""
    from otel_metrics.analytics.compaction import Compacted
    from otel_metrics.analytics.compaction import compact as move
    from otel_metrics.delivery.cli.progress import Work
    from otel_metrics.store.health import size_of

    settings = settings_for(database)
    storage = storage_of(settings)
    done = Compacted()
    if is_there(storage):
        take_in(storage)
        with Work("Moving rows into segments") as work:
            moved = move(storage, settings, wait_s=_WAIT_S, progress=work.update)
        if moved is None:
            raise StoreError(f"another process has kept the tables for {_WAIT_S:g} s", "that it lets go", "try again")
        done = moved
    rows = {table: count for table, count in done.rows.items() if count}
    if form is Form.JSON:
        print_json({"rows": rows, "segments": done.segments, "merged": done.merged, "bytes": done.bytes})
        return
    console = output_console()
    for table, count in rows.items():
        console.print(f"{count:>12,}  rows of {table} moved")
    if rows:
        console.print(
            f"{done.segments:>12,}  files made, {size_of(done.bytes)}, in {storage.layout.segments_folder}",
            soft_wrap=True,
        )
    if done.merged:
        console.print(f"{done.merged:>12,}  files merged into one for each day")
    if not rows and not done.merged:
        console.print("No rows to move: those of open sessions stay where they are found at once.")


def prune(database: Database = None, form: Printed = Form.TABLE) -> None:
    """Delete what is older than METRICS_RETENTION_DAYS (30), and rotated logs beyond the ten that are kept."""
    settings = settings_for(database)
    storage = storage_of(settings)
    exists = is_there(storage)
    rows: dict[str, int] = {}
    files: list[str] = []
    segments = 0
    if exists:
        storage.drain(10.0)
        pruned = storage.prune()
        rows, files, segments = dict(pruned.rows), list(pruned.log_files), pruned.segments
    if form is Form.JSON:
        print_json({"retention_days": settings.retention_days, "rows": rows, "segments": segments, "log_files": files})
        return
    if not exists:
        output_console().print(f"There is no store at {settings.database} yet: nothing to prune.")
        return
    console = output_console()
    kept = f"older than {settings.retention_days:g} days" if settings.retention_days else "(retention is off)"
    if not rows and not files:
        console.print(f"Nothing {kept} is there.")
    for table, count in rows.items():
        console.print(f"{count:>12,}  rows of {table} {kept} deleted")
    if segments:
        console.print(f"{segments:>12,}  segments with such rows alone deleted; their files go ten minutes later")
    for name in files:
        console.print(f"{'':>12}  {name} deleted", soft_wrap=True)


def doctor(
    database: Database = None,
    form: Printed = Form.TABLE,
    repair: Annotated[
        bool, typer.Option("--repair", help="Set what is damaged aside, read the logs again, make files private.")
    ] = False,
) -> None:
    """Check files, versions, journal and counts, and say what to do."""
    from otel_metrics.delivery.cli.rows import checks_table
    from otel_metrics.store.health import examine

    settings = settings_for(database)
    storage = storage_of(settings)
    done = _repair(storage) if repair and is_there(storage) else []
    checks = [*done, *examine(storage, settings)]
    if form is Form.JSON:
        print_json(
            [
                {"name": one.name, "ok": one.ok, "found": one.found, "remedy": one.remedy, "figures": one.figures}
                for one in checks
            ]
        )
    else:
        show(checks_table(checks))
    wrong = [one for one in checks if one.ok is False]
    if wrong:
        raise typer.Exit(max(one.error.exit_status if one.error else 1 for one in wrong))


def _repair(storage: MetricsStorage) -> "list[Check]":
    """Repairs, and tells what was done in the form of the checks that follow."""
    from otel_metrics.analytics.cold_store import ColdStore
    from otel_metrics.delivery.cli.progress import Work
    from otel_metrics.store.health import Check

    with Work("Repairing"):
        done = storage.repair(ColdStore)
    told = []
    if done.set_aside is not None:
        told.append(f"{done.damage}; it is kept as {done.set_aside.name}")
    if done.read_back:
        logs = ", ".join(f"{count:,} from {name}" for name, count in done.read_back.items())
        told.append(f"records read again: {logs}{done.since and f'; they begin at {done.since}'}")
    for name, salvaged in done.salvaged.items():
        rows = ", ".join(f"{table} {count:,}" for table, count in salvaged.rows.items()) or "none that is not here"
        unreadable = f"; {salvaged.unreadable:,} places could not be read" if salvaged.unreadable else ""
        told.append(f"rows copied from {name}: {rows}{unreadable}")
    told += [f"{fault}: {rows:,} rows are gone with it" for fault, rows in done.segments_set_aside.items()]
    if done.adopted.rows:
        rows = ", ".join(f"{table} {count:,}" for table, count in done.adopted.rows.items())
        told.append(f"segments of an earlier database taken over: {rows}")
    told += [f"{name} is damaged and kept under this name" for name in done.adopted.damaged]
    if done.made_private:
        told.append(f"made private: {', '.join(str(path) for path in done.made_private)}")
    if done.drafts:
        told.append(f"drafts of dead processes removed: {', '.join(path.name for path in done.drafts)}")
    return [Check("repair", None, one) for one in told or ["there was nothing to do"]]
