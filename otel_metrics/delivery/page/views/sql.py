"""Owns the view SQL: a query to write, what can be asked for, and how an answer looks."""

from typing import TYPE_CHECKING

from otel_metrics.delivery.cli.numbers import count
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.figures import Column, link, notice, table
from otel_metrics.delivery.page.forms import acting_form
from otel_metrics.delivery.page.markup import join, multiline, tag
from otel_metrics.delivery.page.place import Place
from otel_metrics.delivery.page.sql_process import Limits, SqlAnswer

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_LIMITS = Limits()
_FIRST = "SELECT outcome, count(*) AS sessions\nFROM sessions\nGROUP BY outcome\nORDER BY sessions DESC"
_EXAMPLES = {
    "Sessions by outcome": _FIRST,
    "Slowest stages": "SELECT session_id, stage, date_diff('millisecond', start_time, end_time) AS ms\nFROM processing_metrics\nORDER BY ms DESC\nLIMIT 20",
    "Corrections by day": "SELECT timestamp::DATE AS day, correction_type, count(*) AS corrections\nFROM correction_metrics\nGROUP BY ALL\nORDER BY day, corrections DESC",
    "Every view": "SELECT view_name FROM duckdb_views() WHERE NOT internal",
}


def sql(feed: "Feed", place: Place) -> Cards:
    """A free query over the views. It runs when somebody asks for it, never because a link was followed."""
    del feed
    query = place.wishes.get("q", _FIRST)
    text = tag("textarea", multiline(query), name="q", rows=8, spellcheck="false", required=True)
    form = acting_form(
        "sql", tag("label", "One SELECT; times are UTC", text, class_="wide"), tag("button", "Run", type="submit", class_="first"),
        tag("span", "Ctrl and Enter runs it", class_="hint"), label="Free SQL",
    )  # fmt: skip
    examples = tag(
        "ul", [tag("li", link(name, place.at("sql", q=one))) for name, one in _EXAMPLES.items()], class_="keys"
    )
    about = notice(
        "Over sessions, processing_metrics, correction_metrics, spans, logs, system_metrics, running. It reads only, "
        f"for at most {_LIMITS.seconds:g} s, {_LIMITS.memory_bytes // 1_000_000} MB and {count(_LIMITS.rows)} rows."
    )
    return [Card("query", "Query", join([form, about, examples]))]


def answer_card(answer: SqlAnswer, took_s: float) -> Card:
    """What a query gave."""
    columns = [Column(name, number=number) for name, number in zip(answer.columns, answer.numbers, strict=True)]
    rows = table("answer", "What the query gave", columns, answer.rows, "No rows.", whole=True)
    said = f"{count(len(answer.rows))} row{'' if len(answer.rows) == 1 else 's'} in {took_s:.1f} s"
    more = ", and there are more: otel-metrics sql gives all" if answer.more else ""
    return Card("answer", "Answer", join([tag("p", f"{said}{more}", class_="empty", role="status"), rows]))
