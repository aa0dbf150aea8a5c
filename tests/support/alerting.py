"""What tests of alerts share: a store played visit by visit on a stepped clock, and rules as a file says them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_metrics import MetricsService
from otel_metrics.analytics.alerting.reading import Reading
from otel_metrics.analytics.alerting.rules import Rule
from otel_metrics.analytics.alerting.rules_file import load_rules
from otel_metrics.analytics.answers import Answers
from otel_metrics.model.times import to_ns
from otel_metrics.settings import load
from otel_metrics.testing import SteppedClock, temporary_service
from support.tiers import move_to_segments

NOW = "2026-03-10T15:00:00Z"  # a Tuesday
NOW_S = to_ns(NOW) / 1e9


@dataclass(frozen=True)
class Step:
    """A stage of a visit: it begins `offset_s` after the visit does."""

    stage: str
    offset_s: int
    took_s: float
    ok: bool = True
    tokens: int | None = None
    cost: float | None = None
    currency: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class Visit:
    """A session that began `ago_s` before NOW."""

    ago_s: int
    steps: tuple[Step, ...] = ()
    intent: str | None = None
    prompt: str | None = None
    correction: str | None = None
    ended: bool = True


def play(service: MetricsService, clock: SteppedClock, visits: Iterable[Visit]) -> None:
    """Records visits as a bot would have at their times; the clock stands at NOW afterwards."""
    for one in visits:
        begun = NOW_S - one.ago_s
        clock.set_time(begun)
        said = {} if one.intent is None else {"intent": one.intent}
        session = service.create_session(1, 2, **said)
        last = begun
        for step in one.steps:
            facts = {
                "tokens_used": step.tokens,
                "cost": step.cost,
                "currency": step.currency,
                "model": step.model,
                "prompt": one.prompt,
            }
            start = begun + step.offset_s
            last = max(last, start + step.took_s)
            service.record_stage(
                session, 1, 2, step.stage, start_time=start, end_time=start + step.took_s, success=step.ok,
                **{name: value for name, value in facts.items() if value is not None},
            )  # fmt: skip
        clock.set_time(last)
        if one.correction is not None:
            service.record_correction(session, 7, 1, one.correction, "a b c", "a b d", 10)
        if one.ended:
            service.end_session(session)
    clock.set_time(NOW)


@contextmanager
def played(folder: Path, visits: list[Visit], tier: str = "hot", **settings: Any) -> Iterator[MetricsService]:
    """A service over a store of these visits; `tier`: hot, cold, or both (the first half is cold)."""
    clock = SteppedClock(NOW)
    with temporary_service(folder, clock=clock, **settings) as service:
        half = {"hot": 0, "cold": len(visits), "both": len(visits) // 2}[tier]
        play(service, clock, visits[:half])
        if half:
            move_to_segments(service)
        play(service, clock, visits[half:])
        service.flush()
        yield service


def rules_of(folder: Path, text: str, **settings: Any) -> list[Rule]:
    """The rules of a file with this text, without the two of the contract unless it names them."""
    path = folder / "some.rules.toml"
    path.write_text(text, encoding="utf-8")
    return [one for one in load_rules(load({"rules": path, **settings}, {})) if one.name in text]


def readings(service: MetricsService, rule: Rule, now_ns: int | None = None) -> list[Reading]:
    """What a rule finds in a service's store, as of NOW."""
    answers: Answers = service.answers
    return answers.readings([rule], to_ns(NOW) if now_ns is None else now_ns)[rule.name]
