"""Owns the questions about cost: tokens and money by session, stage, model and delivered answer."""

import math
import re
from typing import Any

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.prices import Rate, as_parameters, rates_for
from otel_metrics.analytics.questions.cost_words import sentences_of
from otel_metrics.analytics.questions.document import Document, Record, row, rows
from otel_metrics.analytics.window import Window
from otel_metrics.errors import QueryError
from otel_metrics.settings import Settings

_MOST_SESSIONS = 10
_CALLS = ("calls", "priced_calls", "foreign_calls", "unpriced_calls", "calls_without_tokens")
_TOKENS = ("input_tokens", "output_tokens", "total_tokens")
_MONEY = ("known_cost", "cost", "least_cost", "most_cost")


def cost(
    engine: Asking, window: Window, settings: Settings, moderator_hour_rate: float | None = None,
    speech_minute_rate: float | None = None, currency: str | None = None,
) -> Document:  # fmt: skip
    """What the calls of models, the moderators and the speech of a window cost; options that are not given are the settings'.

    A call: a stage with tokens or a cost, or a model's span; where both tell of one call, the span counts. What failed
    and told neither tokens nor a cost is none: a refused call costs nothing. The price of a call is
    the recorded cost, else its tokens by the list of `genai-prices` at the time of the call, in USD. Money of another
    currency is never added: `foreign_calls`. `unpriced_calls` have no price, for the reasons in `unpriced`.
    `known_cost`: the sum over `priced_calls`; None without any. `cost`: the same, None if a single call is not in it.
    `least_cost` and `most_cost`: bounds where calls recorded only a total of tokens (all input, or all output); None if
    a call has no price at all. Tokens: sums over the calls that tell; `calls_without_tokens` have no total.
    `moderator_minutes`: admin_review and correction_processing; `speech_minutes`: recorded speech, and in sessions
    without it the time of the transcription. `moderator_cost` and `speech_cost` need their rate, else they are None and
    no part of the sums. `known_total_cost`, `total_cost`: models, moderators and speech together.
    `session_cost`, `known_session_cost`: the sums by `sessions`, those with a stage in the window. `delivered_cost`,
    `known_delivered_cost`: the sums over all sessions of the window, by those `delivered` in it.
    The rows `by_stage`, `by_model`, `by_prompt`, `by_day` (of the zone of the settings), `by_currency` and
    `dearest_sessions` are about calls of models alone.
    """
    hour_rate = _rate("moderator_hour_rate", moderator_hour_rate, settings.moderator_hour_rate)
    minute_rate = _rate("speech_minute_rate", speech_minute_rate, settings.speech_minute_rate)
    money = _currency(settings.currency if currency is None else currency)
    called = rows(engine, "cost_models", **window.parameters())
    rates = _rates(called, window)
    found = rows(
        engine, "cost_calls", **window.parameters(), reach=called[0]["reach"] if called else window.since,
        zone=settings.timezone, currency=money, most=_MOST_SESSIONS, **as_parameters(rates or []),
    )  # fmt: skip
    people = row(engine, "cost_people", **window.parameters())
    (whole,) = (one for one in found if one["grouping"] == "all")
    document = {
        "currency": money,
        **_figures(whole),
        **_with_people(_figures(whole), people, hour_rate, minute_rate),
        "by_stage": _rows(found, "stage", "stage"),
        "by_model": _rows(found, "model", "model", "provider"),
        "by_prompt": _rows(found, "prompt", "prompt_version"),
        "by_day": [{**one, "day": one["day"].isoformat()} for one in _rows(found, "day", "day")],
        "by_currency": [
            {"currency": one["money"], "calls": one["calls"], "known_cost": one["own_cost"]}
            for one in found if one["grouping"] == "currency" and one["money"]
        ],
        "dearest_sessions": _rows(found, "session", "session_id"),
        "unpriced": [
            {name: one[name] for name in ("model", "provider", "reason", "calls")}
            for one in found if one["grouping"] == "reason" and one["reason"]
        ],
    }  # fmt: skip
    return {"sentences": sentences_of(document, has_prices=rates is not None), **document}


def _rate(name: str, given: Any, default: float | None) -> float | None:
    value = default if given is None else given
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or value < 0:
        raise QueryError(f"{name}={value!r}", "a number from 0 on", "for example 30")
    return float(value)


def _currency(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Za-z]{3}", value.strip()):
        raise QueryError(f"currency={value!r}", "three letters", "for example USD")
    return value.strip().upper()


def _rates(called: list[Record], window: Window) -> list[Rate] | None:
    """The rates of what was called. A span may lack what its stage tells, so both are put together in every way."""
    pairs = {(one["model"], (one["provider"] or "").strip()) for one in called if one["model"]}
    pairs |= {
        (model["model"], (provider["provider"] or "").strip())
        for model in called if model["model"] and (model["origin"] == "span" or not model["provider"])
        for provider in called if provider["provider"] and provider["origin"] != model["origin"]
    }  # fmt: skip
    first = min((one["first_start"] for one in called), default=window.since)
    return rates_for(pairs, first, window.until)


def _figures(found: Record) -> Record:
    is_whole = found["calls"] > 0 and found["priced_calls"] == found["calls"]
    money = {**found, "cost": found["known_cost"] if is_whole else None}
    return {name: money[name] for name in (*_CALLS, *_TOKENS, *_MONEY)}


def _rows(found: list[Record], grouping: str, *names: str) -> list[Record]:
    return [{**{name: one[name] for name in names}, **_figures(one)} for one in found if one["grouping"] == grouping]


def _with_people(calls: Record, people: Record, hour_rate: float | None, minute_rate: float | None) -> Record:
    """The time of people and speech, its money, and the sums of everything by session and by delivered answer."""
    minutes = (people["worked_ms"] or 0.0) / 60_000
    speech = ((people["speech_s"] or 0.0) + (people["transcription_s"] or 0.0)) / 60
    worked = None if hour_rate is None else minutes / 60 * hour_rate
    spoken = None if minute_rate is None else speech * minute_rate
    parts = [one for one in (calls["known_cost"], worked, spoken) if one is not None]
    known = sum(parts) if parts else None
    whole = known if calls["priced_calls"] == calls["calls"] else None
    return {
        "moderator_minutes": minutes,
        "moderator_cost": worked,
        "speech_minutes": speech,
        "speech_cost": spoken,
        "known_total_cost": known,
        "total_cost": whole,
        "sessions": people["sessions"],
        "known_session_cost": _by(known, people["sessions"]),
        "session_cost": _by(whole, people["sessions"]),
        "delivered": people["delivered"],
        "known_delivered_cost": _by(known, people["delivered"]),
        "delivered_cost": _by(whole, people["delivered"]),
    }


def _by(money: float | None, count: int) -> float | None:
    return None if money is None or not count else money / count
