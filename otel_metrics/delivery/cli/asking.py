"""Owns the commands that ask: their options, and what each prints in each format."""

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from otel_metrics.delivery.cli.completing import session_ids
from otel_metrics.delivery.cli.desk import reading
from otel_metrics.delivery.cli.durations import milliseconds
from otel_metrics.delivery.cli.numbers import hours_in_words
from otel_metrics.delivery.cli.options import (
    Database,
    Form,
    Hours,
    Printed,
    PrintedRows,
    RowForm,
    Since,
    Until,
    Watch,
    time_given,
)
from otel_metrics.delivery.cli.printing import as_json, is_there, rows_as
from otel_metrics.delivery.cli.streams import note, print_csv, print_json, show
from otel_metrics.errors import QueryError

_MOST_SHOWN = 1000


def dashboard(
    database: Database = None, hours: Hours = 24, form: Printed = Form.TABLE,
    watch: Watch = False,
) -> None:  # fmt: skip
    """The figures of the last hours: stages, corrections, alerts."""
    from otel_metrics.delivery.cli.live import dashboard_view, follow_dashboard

    _check_watch(form, watch=watch)
    with reading(database) as desk:
        if watch:
            follow_dashboard(desk, hours)
            return
        if form is Form.JSON:
            as_json(desk, desk.answers.dashboard(hours))
        elif is_there(desk):
            show(dashboard_view(desk, desk.answers.figures(hours), hours))


def sessions(
    database: Database = None, hours: Hours = 24, form: PrintedRows = RowForm.TABLE,
    limit: Annotated[int, typer.Option(metavar="N", help="How many at most.")] = 50,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Only of this user.")] = None,
    chat: Annotated[str | None, typer.Option(metavar="ID", help="Only of this chat.")] = None,
    outcome: Annotated[
        str | None, typer.Option(metavar="WORD", help="Only delivered, rejected, abandoned, failed or open ones.")
    ] = None,
    stage: Annotated[str | None, typer.Option(metavar="NAME", help="Only with this stage.")] = None,
    error: Annotated[
        str | None, typer.Option(metavar="KIND", help="Only with a failed stage of this error type or message; any for any.")
    ] = None,
    longer: Annotated[str | None, typer.Option(metavar="TIME", help="Only what took longer, such as 10m.")] = None,
    shorter: Annotated[str | None, typer.Option(metavar="TIME", help="Only what took less, such as 90s.")] = None,
    corrected: Annotated[
        bool | None, typer.Option("--corrected/--uncorrected", help="Only with, or without, a correction.", show_default=False)
    ] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for a moderator now.")] = False,
    since: Since = None, until: Until = None,
) -> None:  # fmt: skip
    """The sessions of the last hours or of a period, newest first, searched by what happened in them."""
    from otel_metrics.delivery.cli.rows import SessionsView

    wishes: dict[str, Any] = {
        "user": user, "chat": chat, "outcome": outcome, "stage": stage, "error": True if error == "any" else error,
        "longer_than_ms": milliseconds(longer, "--longer"), "shorter_than_ms": milliseconds(shorter, "--shorter"),
        "corrected": corrected, "waiting": waiting or None,
    }  # fmt: skip
    with reading(database) as desk:
        found = desk.answers.sessions(hours, limit, since=time_given(since), until=time_given(until), **wishes)
        if form is not RowForm.TABLE:
            rows_as(form, desk, found, _SESSION_COLUMNS)
        elif is_there(desk):
            if not found:
                such = " such" if any(wish is not None for wish in wishes.values()) else ""
                when = hours_in_words(hours) if since is None and until is None else "period"
                show(f"No{such} sessions in the {when}.")
                return
            ids = {row["session_id"] for row in desk.answers.queue()["waiting"]}
            show(SessionsView(found, ids, desk.settings.timezone, datetime.now(UTC)))
            if len(found) == limit:
                note(f"the newest {limit} are shown; --limit gives more")


_SESSION_COLUMNS = [
    "session_id", "user_id", "chat_id", "started_at", "last_activity_at", "ended_at", "outcome", "duration_ms",
    "stages", "failed_stages", "corrections", "current_stage", "metadata",
]  # fmt: skip


def session(
    session_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a session, or its beginning.", show_default=False, autocompletion=session_ids)],
    database: Database = None, form: Printed = Form.TABLE,
) -> None:  # fmt: skip
    """One session as a waterfall: every stage on one time axis."""
    from otel_metrics.delivery.cli.waterfall import WaterfallView

    with reading(database) as desk:
        if not desk.exists:
            empty: dict[str, Any] = {"session": None, "trace_id": None, "spans": [], "corrections": [], "logs": []}
            if form is Form.JSON:
                as_json(desk, empty)
            else:
                is_there(desk)
            return
        answer = desk.answers.session(session_id.strip().rstrip("…"))
        if form is Form.JSON:
            print_json(answer)
        else:
            show(WaterfallView(answer, desk.settings.timezone, datetime.now(UTC)))


def queue(database: Database = None, form: PrintedRows = RowForm.TABLE, watch: Watch = False) -> None:
    """What waits for a moderator and what is running, now."""
    from otel_metrics.delivery.cli.rows import QueueView

    _check_watch(form, watch=watch)
    with reading(database, local=True) as desk:
        if watch:
            from otel_metrics.delivery.cli.live import follow_queue

            follow_queue(desk)
            return
        answer = desk.answers.queue()
        if form is RowForm.JSON:
            as_json(desk, answer)
        elif form is RowForm.CSV:
            rows_as(form, desk, _queue_rows(answer), _QUEUE_COLUMNS, only=True)
        elif is_there(desk):
            show(QueueView(answer, desk.settings.timezone))


def _check_watch(form: str, *, watch: bool) -> None:
    if watch and form != Form.TABLE:
        raise typer.BadParameter("--watch shows the table; leave --format out")


_QUEUE_COLUMNS = ["session_id", "user_id", "chat_id", "state", "stage", "since", "age_ms", "process"]


def _queue_rows(answer: dict[str, Any]) -> list[dict[str, Any]]:
    waiting = [{**row, "state": "waiting", "since": row["waiting_since"]} for row in answer["waiting"]]
    return waiting + [{**row, "since": row["started_at"]} for row in answer["running"]]


def sql(
    query: Annotated[str, typer.Argument(metavar="QUERY", help="One SELECT; - reads it from standard input.", show_default=False)],
    database: Database = None, form: PrintedRows = RowForm.TABLE,
) -> None:  # fmt: skip
    """Free SQL (DuckDB) over processing_metrics, correction_metrics, sessions, spans, logs, system_metrics, running."""
    from otel_metrics.delivery.cli.query import QueryRows

    query = sys.stdin.read() if query == "-" else query
    if not query.strip():
        raise QueryError("the query is empty", "one SELECT", 'for example: otel-metrics sql "FROM sessions"')
    with reading(database) as desk:
        answer = desk.answers.sql(query)
        if form is RowForm.TABLE:
            if not desk.exists:
                note(desk.absent())
            rows = len(answer.rows)
            show(QueryRows(answer.columns, answer.rows[:_MOST_SHOWN]), f"({rows:,} row{'' if rows == 1 else 's'})")
            if rows > _MOST_SHOWN:
                note(f"{_MOST_SHOWN:,} of {rows:,} rows are shown; --format csv and --format json give all")
        elif form is RowForm.JSON:
            as_json(desk, answer.as_dicts())
        else:
            print_csv(answer.columns, answer.rows)
