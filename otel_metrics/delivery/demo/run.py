"""Owns a run of the demo: on which store it may be, what an earlier run left, and playing the plan into it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from random import Random

from otel_metrics.delivery.demo.plan import SPAN_S, Visit, plan, worth_a_look
from otel_metrics.delivery.demo.stage import DemoClock, Play
from otel_metrics.errors import SettingError
from otel_metrics.model.times import SystemClock
from otel_metrics.service import MetricsService
from otel_metrics.settings import Settings
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

_OTHERS = (files("otel_metrics.delivery.demo") / "others.sql").read_text(encoding="utf-8")
_WAIT_S = 10.0
_NS_PER_DAY = 86_400_000_000_000
_FLUSH_EVERY = 100


@dataclass(frozen=True, slots=True)
class Played:
    """What a run made: how many sessions, and one that shows much."""

    sessions: int
    worth_a_look: str


def run_demo(
    settings: Settings, *, sessions: int = 200, seed: int = 7, send: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Played:  # fmt: skip
    """Plays `sessions` sessions of the last 24 hours into the store, in place of what an earlier run left there.

    Raises `SettingError` where the store holds anything else. With `send` the spans also go where OpenTelemetry's
    variables say; without it they stay here, whatever the environment is set to.
    """
    storage = MetricsStorage(StoreLayout(settings.database, settings.log_file), settings)
    _make_room(storage, settings)
    clock = DemoClock(SystemClock.time_ns() // 1000 * 1000)  # whole microseconds, as the tables have
    # The demo records even where ENABLE_METRICS is off, and needs no thread and no disk that is waited for.
    own = replace(settings, enabled=True, drain_interval_s=0.0, durability="process")
    with _environment(send=send), MetricsService(own, clock=clock) as service:
        return _play(service, clock, plan(sessions, seed), seed, progress, flush=send)


def _play(
    service: MetricsService, clock: DemoClock, visits: list[Visit], seed: int, progress: Callable[[int, int], None], *,
    flush: bool,
) -> Played:  # fmt: skip
    now_ns = clock.now_ns
    random = Random(seed + 1)  # noqa: S311 - a play, not a secret
    _record_surroundings(service, clock, now_ns, random)
    shown = worth_a_look(visits)
    session_id = ""
    for number, visit in enumerate(visits, 1):
        clock.now_ns = now_ns + round(visit.asked_s * 1e6) * 1000
        play = Play(service, clock, visit, random)
        play.perform()
        if visit is shown:
            session_id = play.session_id
        if flush and number % _FLUSH_EVERY == 0:
            service.flush()  # what waits to be sent is bounded, and a demo is quicker than a network
        progress(number, len(visits))
    clock.now_ns = now_ns
    return Played(len(visits), session_id)


def _record_surroundings(service: MetricsService, clock: DemoClock, now_ns: int, random: Random) -> None:
    """The bot's process: it started, and every half hour it looked at itself."""
    clock.now_ns = now_ns - round(SPAN_S) * 1_000_000_000
    service.get_logger().info("bot_started", "The demo's bot started", demo=True, version="2.4.0")
    memory_mb = 180.0
    while clock.now_ns < now_ns:
        memory_mb += random.uniform(-2.0, 3.0)
        service.record_system_metric("memory_mb", round(memory_mb, 1), {"host": "demo"}, demo=True)
        service.record_system_metric("cpu_percent", round(random.uniform(1, 12), 1), {"host": "demo"}, demo=True)
        clock.pass_by(1800)
    clock.now_ns = now_ns


def _make_room(storage: MetricsStorage, settings: Settings) -> None:
    """Refuses a store that holds anything but a demo; deletes the rows of an earlier one."""
    if not storage.exists() and not settings.log_file.exists():
        return
    storage.drain(_WAIT_S)
    with storage.reading() as connection:
        others, demo = connection.execute(_OTHERS).fetchone()
    if others:
        raise SettingError(
            f"{settings.database} holds {others:,} records that are not the demo's", "a store of its own for the demo",
            "run it with --database demo.db",
        )  # fmt: skip
    if demo:
        # Retention knows how to delete rows so that every reader notices: to it, two days on, all of them are old.
        short_lived = MetricsStorage(storage.layout, replace(settings, retention_days=1.0))
        short_lived.prune(SystemClock.time_ns() + 2 * _NS_PER_DAY)


@contextmanager
def _environment(*, send: bool) -> Iterator[None]:
    """OpenTelemetry's variables while the demo runs: thousands of made-up spans do not go into anyone's real traces."""
    changes = {"OTEL_SDK_DISABLED": "false"}
    if not send:
        changes |= {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
