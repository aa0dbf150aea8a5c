"""Owns the view Cost: tokens and money, by day, model, stage and prompt, and the dearest sessions."""

from typing import TYPE_CHECKING, Any

from otel_metrics.delivery.cli.numbers import NONE, count
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.charts import bars, chart
from otel_metrics.delivery.page.figures import Column, Tile, sentences, session_link, table, tiles
from otel_metrics.delivery.page.markup import Markup
from otel_metrics.delivery.page.place import Place

if TYPE_CHECKING:
    from otel_metrics.delivery.page.feed import Feed

_MOST_ROWS = 50
_NONE_YET = "No model calls in this time."


def cost(feed: "Feed", place: Place) -> Cards:
    """Tokens and money by session, stage, model and delivered answer."""
    found = feed.answers.cost(place.hours)
    currency = found["currency"]
    days = found["by_day"]
    names = [str(one["day"])[5:] for one in days]
    total = chart(names, [bars(currency, [one["known_cost"] for one in days])], "money")
    tokens = chart(
        names,
        [
            bars("input", [one["input_tokens"] for one in days], 0, "tokens"),
            bars("output", [one["output_tokens"] for one in days], 1, "tokens"),
        ],
    )
    return [
        Card("cost", "In short", _tiles(found), quiet=True),
        Card("findings", "What they say", sentences(found["sentences"])),
        Card(
            "cost-by-day",
            f"Model cost by day ({currency})",
            chart=total,
            summary=f"Cost of model calls by day, {len(days)} days.",
            span=6,
        ),
        Card(
            "tokens-by-day",
            "Tokens by day",
            chart=tokens,
            summary=f"Input and output tokens by day, {len(days)} days.",
            span=6,
        ),
        Card("by-model", "By model", _calls("model", "Model", "model", found["by_model"], currency)),
        Card("by-stage", "By stage", _calls("stage", "Stage", "stage", found["by_stage"], currency), span=6),
        Card(
            "by-prompt",
            "By prompt version",
            _calls("prompt", "Prompt version", "prompt_version", found["by_prompt"], currency),
            span=6,
        ),
        Card("dearest", "Dearest sessions", _dearest(found["dearest_sessions"], place, currency)),
    ]


def money(value: float | None, currency: str) -> str:
    """An amount with its currency; small ones with the digits that say something."""
    if value is None:
        return NONE
    return f"{value:,.2f} {currency}" if abs(value) >= 1 or value == 0 else f"{value:.4f} {currency}"


def _tiles(found: dict[str, Any]) -> Markup:
    currency = found["currency"]
    unpriced = found["unpriced_calls"] + found["foreign_calls"]
    return tiles(
        [
            Tile("cost", "Model calls", money(found["known_cost"], currency), f"{count(found['calls'])} calls" + (f", {count(unpriced)} without a price" if unpriced else "")),
            Tile("delivered_cost", "Each delivered answer", money(found["known_delivered_cost"], currency), f"{count(found['delivered'])} delivered"),
            Tile("session_cost", "Each session", money(found["known_session_cost"], currency), f"{count(found['sessions'])} sessions"),
            Tile("tokens", "Tokens", count(found["total_tokens"]), f"{count(found['input_tokens'])} in, {count(found['output_tokens'])} out"),
            Tile("moderator_cost", "Moderators", money(found["moderator_cost"], currency), f"{count(found['moderator_minutes'])} minutes"),
        ]
    )  # fmt: skip


def _calls(name: str, title: str, key: str, rows: list[dict[str, Any]], currency: str) -> Markup:
    columns = [
        Column(title),
        Column("Calls", number=True),
        Column("Tokens in", number=True),
        Column("Tokens out", number=True),
        Column("Cost", number=True),
    ]
    shown = [
        (
            NONE if one[key] is None else str(one[key]), count(one["calls"]), count(one["input_tokens"]), count(one["output_tokens"]),
            money(one["known_cost"], currency),
        )
        for one in rows[:_MOST_ROWS]
    ]  # fmt: skip
    return table(f"by-{name}", f"Model calls by {title.lower()}", columns, shown, _NONE_YET)


def _dearest(rows: list[dict[str, Any]], place: Place, currency: str) -> Markup:
    columns = [
        Column("Session"),
        Column("Calls", number=True),
        Column("Tokens", number=True),
        Column("Cost", number=True),
    ]
    shown = [
        (
            session_link(one["session_id"], place),
            count(one["calls"]),
            count(one["total_tokens"]),
            money(one["known_cost"], currency),
        )
        for one in rows
    ]
    return table("dearest", "The sessions whose model calls cost most", columns, shown, _NONE_YET)
