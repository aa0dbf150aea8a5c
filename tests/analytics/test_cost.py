"""Tokens and money: every figure against plain Python over the recorded facts, hot rows, cold rows and both."""

import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from support.tiers import move_to_segments

from otel_metrics import MetricsService
from otel_metrics.analytics.answers import Answers
from otel_metrics.errors import QueryError
from otel_metrics.testing import SteppedClock, temporary_service

NOW = datetime(2026, 3, 31, 10, 20, tzinfo=UTC)
MODELS = [("gpt-4o-mini", "openai"), ("claude-sonnet-4-5", "anthropic"), ("gemini-2.5-pro", "google"), ("deepseek-chat", "deepseek"), ("own-model", None), (None, None)]  # fmt: skip
tokens = st.none() | st.integers(0, 5_000) | st.sampled_from([199_999, 200_001, 300_000])


@dataclass(frozen=True)
class Call:
    """What a stage or a span tells of one call."""

    model: int = 0
    tokens_in: int | None = None
    tokens_out: int | None = None
    total: int | None = None
    cost: float | None = None
    currency: str | None = None


@dataclass(frozen=True)
class Step:
    """A stage with a call of its own, which ended so many seconds before now, and the calls of its spans."""

    session: int
    stage: str
    before_s: int
    own: Call
    prompt: str | None = None
    spans: tuple[Call, ...] = ()
    is_deep: bool = False
    """The spans lie under another span, as those of a chain or an agent do."""


calls = st.builds(
    Call, st.integers(0, len(MODELS) - 1), tokens, tokens, tokens, st.none() | st.none() | st.floats(0, 3),
    st.sampled_from([None, "USD", "EUR"]),
)  # fmt: skip
steps = st.builds(
    Step, st.integers(0, 5), st.sampled_from(["ai_processing", "correction_ai", "user_delivery"]), st.integers(0, 3 * 86_400), calls,
    st.sampled_from([None, "v7", "v8"]), st.lists(calls, max_size=2).map(tuple), st.booleans(),
)  # fmt: skip


def record(service: MetricsService, clock: SteppedClock, steps: list[Step]) -> None:
    """Plays the steps: each stage lasts 10 s, its spans 3 s each, in the middle."""
    sessions: dict[int, str] = {}
    tracer = trace.get_tracer("model")
    for step in steps:
        begin = NOW - timedelta(seconds=step.before_s + 10)
        clock.set_time(begin)
        if step.session not in sessions:
            sessions[step.session] = service.create_session(1, 1)
        facts = {"prompt_version": step.prompt, **usage(step.own, "metadata")}
        with service.timer(
            sessions[step.session], 1, 1, step.stage, **{k: v for k, v in facts.items() if v is not None}
        ):
            for one in step.spans:
                chain = tracer.start_span("chain", start_time=clock.time_ns()) if step.is_deep else None
                context = trace.set_span_in_context(chain) if chain else None
                span = tracer.start_span(
                    "chat", context=context, start_time=clock.time_ns(), attributes=usage(one, "span")
                )
                clock.advance(3)
                span.end(clock.time_ns())
                if chain:
                    chain.end(clock.time_ns())
            clock.advance(10 - 3 * len(step.spans))
    clock.set_time(NOW)


def usage(call: Call, place: str) -> dict[str, Any]:
    model, provider = MODELS[call.model]
    if place == "metadata":
        facts = {
            "model": model, "provider": provider, "input_tokens": call.tokens_in, "output_tokens": call.tokens_out,
            "tokens_used": call.total, "cost": call.cost, "currency": call.currency if call.cost is not None else None,
        }  # fmt: skip
    else:
        facts = {
            "gen_ai.request.model": model, "gen_ai.usage.input_tokens": call.tokens_in, "gen_ai.usage.output_tokens": call.tokens_out,
            "hitl.usage.cost.amount": call.cost, "hitl.usage.cost.currency": call.currency if call.cost is not None else None,
        }  # fmt: skip
    return {name: value for name, value in facts.items() if value is not None}


@dataclass
class Priced:
    step: Step
    model: str | None
    tokens: tuple[int | None, int | None, int | None]
    amount: float | None
    money: str | None
    bounds: tuple[float | None, float | None]


def counted(steps: list[Step], hours: float) -> list[Priced]:
    """The calls that count, each with its price, by their definition and by genai-prices asked for every single call."""
    found = []
    since = NOW - timedelta(hours=hours)
    for step in steps:
        begin = NOW - timedelta(seconds=step.before_s + 10)
        bearing = [tells(one, is_span=True) for one in step.spans]
        seen = [one for one in step.spans if tells(one, is_span=True) or MODELS[one.model][0]]
        if any(bearing) or (not tells(step.own) and seen):
            for place, one in enumerate(step.spans):
                end = begin + timedelta(seconds=3 * (place + 1))
                if one in seen and since < end <= NOW:
                    found.append(price(step, one, begin + timedelta(seconds=3 * place), is_span=True))
        elif since < begin + timedelta(seconds=10) and (
            tells(step.own) or (MODELS[step.own.model][0] and step.stage in {"ai_processing", "correction_ai"})
        ):
            found.append(price(step, step.own, begin))
    return found


def tells(call: Call, *, is_span: bool = False) -> bool:
    facts = (call.tokens_in, call.tokens_out, call.cost, None if is_span else call.total)
    return any(one is not None for one in facts)


def price(step: Step, call: Call, at: datetime, *, is_span: bool = False) -> Priced:
    model, provider = MODELS[call.model]
    if is_span:
        model = model or MODELS[step.own.model][0]
        provider = MODELS[step.own.model][1]  # the attributes of a span name none
    total = None if is_span else call.total
    tokens_in, tokens_out = call.tokens_in, call.tokens_out
    if tokens_in is None and total is not None and tokens_out is not None and total >= tokens_out:
        tokens_in = total - tokens_out
    elif tokens_out is None and total is not None and tokens_in is not None and total >= tokens_in:
        tokens_out = total - tokens_in
    known = (
        tokens_in,
        tokens_out,
        total if total is not None else None if None in (tokens_in, tokens_out) else tokens_in + tokens_out,
    )
    if call.cost is not None:
        return Priced(step, model, known, call.cost, call.currency or "USD", (call.cost, call.cost))
    if None not in (tokens_in, tokens_out):
        amount = asked(model, provider, at, tokens_in, tokens_out)
        return Priced(step, model, known, amount, "USD", (amount, amount))
    if total is None:
        return Priced(step, model, known, None, None, (None, None))
    if tokens_in is not None:
        return Priced(step, model, known, None, "?", (None, None))
    ends = [asked(model, provider, at, *pair) for pair in ((total, 0), (0, total))]
    return Priced(step, model, known, None, "USD", (None, None) if None in ends else (min(ends), max(ends)))


def asked(model: str | None, provider: str | None, at: datetime, tokens_in: int, tokens_out: int) -> float | None:
    try:
        found = calc_price(Usage(input_tokens=tokens_in, output_tokens=tokens_out), model or "", provider_id=provider, genai_request_timestamp=at)  # fmt: skip
    except LookupError:
        return None
    return float(found.total_price)


def figures(found: list[Priced]) -> dict[str, Any]:
    """The sums of some calls."""
    known = [one.amount for one in found if one.amount is not None and one.money == "USD"]
    sums = {"calls": len(found), "priced_calls": len(known), "unpriced_calls": sum(one.amount is None for one in found)}
    for place, name in enumerate(("input_tokens", "output_tokens", "total_tokens")):
        told = [one.tokens[place] for one in found if one.tokens[place] is not None]
        sums[name] = sum(told) if told else None
    sums["foreign_calls"] = sums["calls"] - sums["priced_calls"] - sums["unpriced_calls"]
    sums["calls_without_tokens"] = sum(one.tokens[2] is None for one in found)
    sums["known_cost"] = sum(known) if known else None
    sums["cost"] = sums["known_cost"] if len(known) == len(found) else None
    return sums


def ask(steps: list[Step], hours: float = 24, tier: str = "hot", **options: Any) -> dict[str, Any]:
    clock = SteppedClock(NOW)
    with temporary_service(clock=clock) as service:
        half = len(steps) // 2 if tier == "both" else len(steps)
        record(service, clock, steps[:half])
        if tier != "hot":
            for row in service.sql("SELECT session_id FROM sessions"):
                service.end_session(row["session_id"])
            move_to_segments(service)
        record(service, clock, [shifted(one) for one in steps[half:]])
        service.flush()
        answers = Answers(service.storage, service.settings, clock)
        document = answers.cost(hours, **options)
        answers.close()
    return document


def shifted(step: Step) -> Step:
    return Step(
        step.session + 100,
        *[getattr(step, name) for name in ("stage", "before_s", "own", "prompt", "spans", "is_deep")],
    )


def same(found: Any, wanted: Any) -> bool:
    return found is None if wanted is None else found == pytest.approx(wanted)


@given(st.lists(steps, max_size=25), st.sampled_from([1, 24, 100]), st.sampled_from(["hot", "cold", "both"]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_sum_equals_an_independent_computation(found_steps, hours, tier):
    """Whatever was recorded and wherever the rows lie, sums are those of single calls, each priced by itself."""
    document = ask(found_steps, hours, tier)
    found = counted(found_steps, hours)
    for name, value in figures(found).items():
        assert same(document[name], value), name
    for section, name, key in (
        ("by_stage", "stage", lambda one: one.step.stage), ("by_model", "model", lambda one: one.model),
        ("by_prompt", "prompt_version", lambda one: one.step.prompt),
    ):  # fmt: skip
        wanted = defaultdict(list)
        for one in found:
            wanted[key(one)].append(one)
        rows = defaultdict(lambda: [0, 0.0])
        for row in document[section]:
            rows[row[name]][0] += row["calls"]
            rows[row[name]][1] += row["known_cost"] or 0.0
        assert set(rows) == set(wanted)
        for value, group in wanted.items():
            assert rows[value][0] == len(group)
            assert rows[value][1] == pytest.approx(figures(group)["known_cost"] or 0.0)
    assert sum(row["calls"] for row in document["unpriced"]) == document["unpriced_calls"]
    assert sum(row["calls"] for row in document["by_day"]) == document["calls"]


def test_tokens_of_a_stage_and_of_its_span_count_once():
    """A stage that tells the sum of its spans' tokens adds nothing to them, however deep they lie."""
    own = Call(0, 300, 30, 330)
    spans = (Call(0, 100, 10), Call(0, 200, 20))
    for is_deep in (False, True):
        document = ask([Step(1, "ai_processing", 60, own, "v7", spans, is_deep)])
        assert (document["calls"], document["input_tokens"], document["output_tokens"]) == (2, 300, 30)
        (row,) = document["by_stage"]
        assert (row["stage"], row["known_cost"]) == ("ai_processing", pytest.approx(300 * 0.15e-6 + 30 * 0.6e-6))
        assert document["by_model"][0]["provider"] == "openai"  # the stage tells it, the spans do not


def test_a_large_request_costs_more_for_each_token_and_many_small_ones_do_not():
    """A threshold on the size of a request is about single requests: their sum must not reach it."""
    small = [Step(n, "ai_processing", 60 + n, Call(2, 150_000, 10)) for n in range(4)]
    large = [Step(9, "ai_processing", 90, Call(2, 600_000, 10))]
    wanted = [float(calc_price(Usage(input_tokens=size, output_tokens=10), "gemini-2.5-pro", provider_id="google").total_price) for size in (150_000, 600_000)]  # fmt: skip
    assert ask(small)["cost"] == pytest.approx(4 * wanted[0])
    assert ask(large)["cost"] == pytest.approx(wanted[1])
    assert wanted[1] > 4 * wanted[0]


def test_a_total_of_tokens_gives_bounds_and_no_price():
    """Where input and output are not told apart the cost is unknown; it lies between all input and all output."""
    document = ask([Step(1, "ai_processing", 60, Call(0, total=1_000))])
    assert (document["cost"], document["known_cost"], document["unpriced_calls"], document["total_tokens"]) == (
        None,
        None,
        1,
        1_000,
    )
    assert (document["least_cost"], document["most_cost"]) == (pytest.approx(0.15e-3), pytest.approx(0.6e-3))
    assert (
        "1 call of gpt-4o-mini without a price (only a total of tokens): record input_tokens and output_tokens beside it."
        in document["sentences"]
    )


def test_an_unknown_model_is_counted_and_never_free():
    """Calls without a price are named with their model; the sum says that it is not whole."""
    steps = [Step(n, "ai_processing", 60, Call(4, 10, 10)) for n in range(3)] + [
        Step(9, "ai_processing", 60, Call(4, 1, 1, cost=0.5))
    ]
    document = ask(steps)
    assert (document["known_cost"], document["cost"], document["priced_calls"], document["unpriced_calls"]) == (
        0.5,
        None,
        1,
        3,
    )
    assert document["unpriced"] == [
        {"model": "own-model", "provider": None, "reason": "no price for the model", "calls": 3}
    ]
    assert any("3 calls of own-model without a price" in one for one in document["sentences"])


def test_money_of_other_currencies_is_kept_apart():
    """Euros are not added to dollars, whichever of them is asked for."""
    steps = [
        Step(1, "ai_processing", 60, Call(0, cost=1.0, currency="EUR")),
        Step(2, "ai_processing", 60, Call(0, cost=2.0)),
    ]
    document = ask(steps)
    assert (document["known_cost"], document["cost"], document["foreign_calls"]) == (2.0, None, 1)
    assert {row["currency"]: row["known_cost"] for row in document["by_currency"]} == {"EUR": 1.0, "USD": 2.0}
    assert ask(steps, currency="eur")["known_cost"] == 3.0  # what has no currency is in the one of the settings


def test_people_and_speech_cost_what_their_rates_say():
    """A correction inside of its review counts once; recorded speech is preferred to the time of its transcription."""
    clock = SteppedClock(NOW - timedelta(hours=1))
    with temporary_service(clock=clock, moderator_hour_rate=30) as service:
        for speech in ({"speech_seconds": 90.0}, {}):
            session = service.create_session(1, 1)
            with service.timer(session, 1, 1, "admin_review"):
                clock.advance(540)
                with service.timer(session, 1, 1, "correction_processing", **speech):
                    clock.advance(60)
                    service.record_correction(
                        session, 7, "1", "voice_correction", "a", "b", 5_000, voice_transcription_time_ms=30_000
                    )
            with service.timer(session, 1, 1, "user_delivery"):
                clock.advance(1)
            service.end_session(session)
        service.flush()
        answers = Answers(service.storage, service.settings, clock)
        document = answers.cost(24, speech_minute_rate=0.5)
        answers.close()
    assert (document["moderator_minutes"], document["moderator_cost"]) == (pytest.approx(20), pytest.approx(10))
    assert (document["speech_minutes"], document["speech_cost"]) == (pytest.approx(2), pytest.approx(1))
    assert (document["total_cost"], document["delivered"], document["delivered_cost"]) == (
        pytest.approx(11),
        2,
        pytest.approx(5.5),
    )


def test_without_the_price_list_recorded_costs_are_still_added(monkeypatch):
    """Where genai-prices is not installed, tokens have no price, and a sentence says how to get one."""
    monkeypatch.setitem(sys.modules, "genai_prices.types", None)
    document = ask([Step(1, "ai_processing", 60, Call(0, 10, 10)), Step(2, "ai_processing", 60, Call(0, cost=0.25))])
    assert (document["known_cost"], document["unpriced_calls"]) == (0.25, 1)
    assert any("pip install '.[prices]'" in one for one in document["sentences"])


def test_an_empty_store_gives_the_same_shape():
    """Without rows there are zeros and nulls, and the keys are those of a full document."""
    empty, full = ask([]), ask([Step(1, "ai_processing", 60, Call(0, 10, 10))])
    assert list(empty) == list(full)
    assert (empty["calls"], empty["cost"], empty["known_total_cost"], empty["delivered_cost"]) == (0, None, None, None)
    assert empty["sentences"] == ["No call of a model in this window."]


@pytest.mark.parametrize("options", [
    {"moderator_hour_rate": -1}, {"speech_minute_rate": float("inf")}, {"moderator_hour_rate": True}, {"currency": "$"}, {"currency": 5},
])  # fmt: skip
def test_options_that_mean_nothing_are_refused(options):
    """The error names the option."""
    (name,) = options
    with pytest.raises(QueryError, match=name):
        ask([], **options)
