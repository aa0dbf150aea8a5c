"""Owns what a call of a model costs by the list of `genai-prices`, as a small table of rates that SQL can join.

The list comes with the installed package and is never fetched. A price of that list is linear in the tokens but for
three things, each of which has rows of its own here: it may change at a date or a time of day, it may be higher for all
tokens of a request with more input than a threshold, and a request may have a price itself.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, PriceCalculation

MOST_TOKENS = 2**62
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """What a token costs in USD, for requests in [since, until) with more than `over` and at most `up_to` input tokens.

    `provider` is empty where none was recorded. A rate of None: this kind of token has no price. `least` and `most`
    bound the price of a token of which nobody knows whether it was input or output, nor the size of the request.
    """

    model: str
    provider: str
    since: datetime
    until: datetime
    over: int
    up_to: int
    request: float
    input: float | None
    output: float | None
    least: float | None
    most: float | None


def rates_for(models: Iterable[tuple[str, str]], since: datetime, until: datetime) -> list[Rate] | None:
    """The rates of these models and providers within [since, until], UTC without zone; None without `genai-prices`.

    A model that the list does not have gets no rate.
    """
    try:
        from genai_prices.types import ModelInfo  # noqa: F401 - whether it is there
    except ImportError:
        return None
    return [rate for model, provider in sorted(set(models)) for rate in _rates_of(model, provider, since, until)]


def price_function() -> "Callable[[str, str, datetime, int | None, int | None], float | None] | None":
    """What one call cost in USD, by the list; None without `genai-prices`. See `price_of`."""
    try:
        from genai_prices import calc_price  # noqa: F401 - whether it is there; loaded here, where nobody waits
    except ImportError:
        return None
    return price_of


def price_of(model: str, provider: str, at: datetime, tokens_in: int | None, tokens_out: int | None) -> float | None:
    """The price of one call at a time in UTC, as the questions reckon it; None where the list or the call does not tell all."""
    try:
        asked = _asked(model, provider, at, tokens_in or 0, tokens_out or 0)
    except LookupError:
        return None
    listed = asked.model_price
    wants_in, wants_out = listed.input_mtok is not None, listed.output_mtok is not None
    if not (wants_in or wants_out) or (wants_in and tokens_in is None) or (wants_out and tokens_out is None):
        return None
    return float(asked.total_price)


def as_parameters(rates: Iterable[Rate]) -> dict[str, list[Any]]:
    """The rates as one list for each column, as a statement takes them."""
    rows = [astuple(rate) for rate in rates]
    return {f"rate_{field.name}": [row[place] for row in rows] for place, field in enumerate(fields(Rate))}


def _rates_of(model: str, provider: str, since: datetime, until: datetime) -> Iterator[Rate]:
    try:
        info = _asked(model, provider, since, 0, 0).model
    except LookupError:
        return
    moments = [since, *_changes(info, since, until), until + timedelta(microseconds=1)]
    for first, after in pairwise(moments):
        yield from _tiers(model, provider, first, after)


def _tiers(model: str, provider: str, first: datetime, after: datetime) -> Iterator[Rate]:
    """The rates at one time: one for each size of request that has prices of its own."""
    from genai_prices.types import TieredPrices

    listed = _asked(model, provider, first, 0, 0).model_price
    prices = [price for price in vars(listed).values() if price is not None]
    starts = sorted({tier.start for price in prices if isinstance(price, TieredPrices) for tier in price.tiers})
    request = _asked(model, provider, first, 0, 0).total_price
    seen: list[float] = []
    for over, up_to in zip([-1, *starts], [*starts, MOST_TOKENS], strict=True):
        at = max(over + 1, 1)
        base = _asked(model, provider, first, at, 0).total_price
        token_in = None if listed.input_mtok is None else float((base - request) / at)
        more: Decimal = _asked(model, provider, first, at, _MILLION).total_price - base
        token_out = None if listed.output_mtok is None else float(more / _MILLION)
        seen += [rate for rate in (token_in, token_out) if rate is not None]
        both = token_in is not None and token_out is not None
        yield Rate(
            model, provider, first, after, over, up_to, float(request), token_in, token_out,
            min(seen) if both else None, max(seen) if both else None,
        )  # fmt: skip


def _asked(model: str, provider: str, at: datetime, tokens_in: int, tokens_out: int) -> "PriceCalculation":
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out)
    return calc_price(usage, model, provider_id=provider or None, genai_request_timestamp=at.replace(tzinfo=UTC))


def _changes(info: "ModelInfo", since: datetime, until: datetime) -> list[datetime]:
    """The times strictly inside the span at which the prices of a model may change."""
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    conditions = [one.constraint for one in info.prices] if isinstance(info.prices, list) else []
    days = [since.date() + timedelta(days=day) for day in range((until.date() - since.date()).days + 1)]
    found = set()
    for condition in conditions:
        if isinstance(condition, StartDateConstraint):
            found.add(datetime.combine(condition.start_date, time()))
        elif isinstance(condition, TimeOfDateConstraint):
            for edge in (condition.start_time, condition.end_time):
                found.update(_utc(datetime.combine(day, edge)) for day in days)
    return sorted(moment for moment in found if since < moment < until)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
