"""Owns the command `oversight`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from otel_metrics.delivery.cli.options import Database, Form, Hours, Printed, Since, Until, time_given
from otel_metrics.delivery.cli.questions.answering import answer
from otel_metrics.delivery.cli.sections import SectionsView
from otel_metrics.delivery.cli.text import short_ids

_LISTS = ("differing", "after_rejection", "not_reviewed", "decisions")
_HASHES = ("draft_hash", "approved_hash", "delivered_hash")
_LEGEND = (
    "draft→ok→sent: the first 4 digits of a keyed hash of each text, – where none was told; "
    "equal digits mean equal texts, but for 1 pair in 65,536 (--format json has all 16)"
)


def oversight(
    database: Database = None,
    hours: Hours = 24,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(metavar="N", help="How many decisions to list, the newest first.")] = 100,
    form: Printed = Form.TABLE,
) -> None:
    """Who approved, corrected or rejected what and when, and deliveries that differ from what was approved."""

    def document(answers: Any) -> dict[str, Any]:
        found: dict[str, Any] = answers.oversight(hours, since=time_given(since), until=time_given(until), limit=limit)
        return found if form is Form.JSON else _for_people(found)

    answer(database, form, document, view=OversightView)


@dataclass(frozen=True, slots=True)
class OversightView:
    """The document as every question's, then what the digits of the hashes tell."""

    document: Mapping[str, Any]
    zone: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield SectionsView(self.document, self.zone)
        if any(self.document.get(name) for name in _LISTS):
            yield Text("")
            yield Text(_LEGEND, "quiet")


def _for_people(document: dict[str, Any]) -> dict[str, Any]:
    """Lists with something in them, ids as far as they differ, of hashes the first digits: all of them are in the JSON."""
    shown = {name: value for name, value in document.items() if name not in _LISTS}
    for name in _LISTS:
        if rows := document[name]:
            ids = short_ids((row["session_id"] for row in rows), least=13, most=20)
            shown[name] = [{**_short(row), "session": ids[row["session_id"]]} for row in rows]
    return shown


def _short(row: dict[str, Any]) -> dict[str, Any]:
    kept = {"time": row["time"], "session": "", "by": row["moderator_id"], "decision": row["decision"]}
    if "kind" in row:
        kept["what"] = row["kind"]
    kept["by"] = None if kept["by"] is None else str(kept["by"])
    kept["draft→ok→sent"] = "→".join((row[name] or "–")[:4] for name in _HASHES)
    return kept
