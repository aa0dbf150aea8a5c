"""Owns how answers are printed in the forms for programs, and what is said where there is no store to show."""

from typing import Any

from otel_metrics.delivery.cli.desk import Desk
from otel_metrics.delivery.cli.options import RowForm
from otel_metrics.delivery.cli.streams import note, output_console, print_csv, print_json


def rows_as(form: RowForm, desk: Desk, rows: list[dict[str, Any]], columns: list[str], *, only: bool = False) -> None:
    """Rows as one JSON document or as CSV: these columns first and then what else the rows have, unless `only` these."""
    if form is RowForm.JSON:
        as_json(desk, rows)
        return
    if not desk.exists:
        note(desk.absent())
    more = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in columns]
    names = columns if only else [*columns, *more]
    print_csv(names, ([row.get(name) for name in names] for row in rows))


def as_json(desk: Desk, answer: object) -> None:
    """One JSON document; where there is no store, standard error says so."""
    if not desk.exists:
        note(desk.absent())
    print_json(answer)


def is_there(desk: Desk) -> bool:
    """Whether there is a store to show; if not, says how to begin."""
    if not desk.exists:
        output_console().print(desk.absent(), soft_wrap=True)
    return desk.exists
