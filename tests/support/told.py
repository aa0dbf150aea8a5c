"""Stores made of facts that a test tells: sessions with their stages at exact times, in the tables, in segments or in both."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from otel_metrics import MetricsService
from otel_metrics.testing import SteppedClock, temporary_service
from support.tiers import move_to_segments

NOW = datetime(2026, 3, 18, 15, 30, tzinfo=UTC)  # a Wednesday
TIERS = ("hot", "cold", "both", "late")


@dataclass(frozen=True)
class Ran:
    """A stage: when it ended before NOW and how long it took, in milliseconds."""

    stage: str
    ended_ago_ms: int
    took_ms: int
    success: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def end(self) -> datetime:
        return NOW - timedelta(milliseconds=self.ended_ago_ms)

    @property
    def start(self) -> datetime:
        return self.end - timedelta(milliseconds=self.took_ms)


@dataclass(frozen=True)
class Told:
    """A session: when it began before NOW, of which user, how it ended (None: it is open), its stages."""

    began_ago_ms: int = 0
    user: int = 1
    outcome: str | None = "delivered"
    stages: tuple[Ran, ...] = ()

    @property
    def began(self) -> datetime:
        return NOW - timedelta(milliseconds=self.began_ago_ms)


@contextmanager
def telling(folder: Path, sessions: Iterable[Told], tier: str = "hot", **settings: Any) -> Iterator[MetricsService]:
    """A service at NOW whose store holds the sessions. "both": every second one in segments; "late": its stages come after."""
    clock = SteppedClock(NOW)
    with temporary_service(folder, clock=clock, **settings) as service:
        first, second = [], []
        for place, one in enumerate(sessions):
            (second if tier in {"both", "late"} and place % 2 else first).append(one)
        late = [(_begin(service, clock, one), one) for one in second] if tier == "late" else []
        for one in first:
            _stages(service, _begin(service, clock, one), one)
        if tier != "hot":
            move_to_segments(service)
        for session_id, one in late or [(_begin(service, clock, one), one) for one in second]:
            _stages(service, session_id, one)
        yield service


def _begin(service: MetricsService, clock: SteppedClock, one: Told) -> str:
    clock.set_time(one.began)
    session_id = service.create_session(one.user, 2)
    clock.set_time(NOW)
    if one.outcome is not None:
        service.end_session(session_id, one.outcome)
    return session_id


def _stages(service: MetricsService, session_id: str, one: Told) -> None:
    for ran in one.stages:
        service.record_stage(
            session_id, one.user, 2, ran.stage, start_time=ran.start, end_time=ran.end, success=ran.success,
            error_message=None if ran.success else "it broke", **ran.metadata,
        )  # fmt: skip
