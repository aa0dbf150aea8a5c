"""Owns the way of messages out of the store: which are due, one process at a time, and what became of each."""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event

from otel_metrics.analytics.alerting.evaluation import writing_alerts
from otel_metrics.analytics.alerting.targets import Target
from otel_metrics.delivery.notify.sending import send
from otel_metrics.model.times import Clock, SystemClock
from otel_metrics.store.locks import FileLock
from otel_metrics.store.notices import (
    DELIVERED,
    UNDELIVERED,
    WAITING,
    Notice,
    note_outcome,
    note_tries,
    waiting_notices,
)
from otel_metrics.store.tables import MetricsStorage

MOST_TRIES = 30
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 30.0, 3600.0
_ANOTHER_SENDS_S = 5.0
_LONGEST_PASS_S = 60.0
_MOST_AT_ONCE = 4
_NS_PER_S = 1_000_000_000


@dataclass(slots=True)
class Sent:
    """What a pass has done. `next_s`: after how many seconds there is something to do again; None: nothing waits."""

    delivered: list[Notice] = field(default_factory=list)
    failed: list[tuple[Notice, str]] = field(default_factory=list)
    given_up: list[tuple[Notice, str]] = field(default_factory=list)
    next_s: float | None = None


def pause_s(tries: int) -> float:
    """How long to wait after so many tries: 30 s, twice as long each time, an hour at most; 30 tries take a day."""
    return min(_FIRST_PAUSE_S * 2.0 ** (tries - 1), _LONGEST_PAUSE_S)


class Courier:
    """Sends what waits in a store. Each try is written down before it is made and after it.

    Of several processes the holder of a lock sends, so a message goes out once; where its process dies after it was sent
    and before that is written down, it goes out again. It never gets lost.
    """

    def __init__(self, storage: MetricsStorage, clock: Clock | None = None) -> None:
        self._storage = storage
        self._clock = clock or SystemClock()
        self._lock = FileLock(storage.layout.notify_lock)
        self._unwritten: dict[int, tuple[str, str]] = {}
        """Outcomes that could not be written: what has arrived is not sent again by this process."""
        self._ending = Event()

    def send_due(self, targets: Sequence[Target]) -> Sent:
        """Sends what is due, to all targets at the same time; a target that fails is left alone until the next pass."""
        if not self._storage.exists():
            return Sent()
        if not self._lock.acquire():
            return Sent(next_s=_ANOTHER_SENDS_S)
        try:
            return self._pass({target.name: target for target in targets})
        finally:
            self._lock.release()

    def end(self) -> None:
        """Lets a pass that is under way end within seconds, and no other begin anything; from any thread."""
        self._ending.set()

    def _pass(self, targets: Mapping[str, Target]) -> Sent:
        sent, resting = Sent(), set[str]()
        end = time.monotonic() + _LONGEST_PASS_S
        self._write_outcomes()
        while time.monotonic() < end and not self._ending.is_set():
            waiting = self._waiting()
            now_ns = self._clock.time_ns()
            due = _one_each(one for one in waiting if _is_due(one, now_ns) and one.target not in resting)
            if not due:
                sent.next_s = min((_seconds_to(one, now_ns) for one in waiting), default=None)
                return sent
            for notice, error in self._try(due, targets, now_ns):
                if not error:
                    sent.delivered.append(notice)
                    continue
                resting.add(notice.target)
                (sent.given_up if notice.tries + 1 >= MOST_TRIES else sent.failed).append((notice, error))
        sent.next_s = 0.0
        return sent

    def _waiting(self) -> list[Notice]:
        with self._storage.reading() as connection:
            return waiting_notices(connection)

    def _try(self, due: Sequence[Notice], targets: Mapping[str, Target], now_ns: int) -> list[tuple[Notice, str]]:
        with writing_alerts(self._storage) as connection:
            note_tries(connection, [one.notice_id for one in due], now_ns)
        with ThreadPoolExecutor(
            max_workers=min(len(due), _MOST_AT_ONCE), thread_name_prefix="otel_metrics notice"
        ) as pool:
            errors = list(pool.map(lambda one: self._sent_to(targets.get(one.target), one), due))
        for one, error in zip(due, errors, strict=True):
            state = DELIVERED if not error else UNDELIVERED if one.tries + 1 >= MOST_TRIES else WAITING
            self._unwritten[one.notice_id] = state, error
        self._write_outcomes()
        return list(zip(due, errors, strict=True))

    def _sent_to(self, target: Target | None, notice: Notice) -> str:
        if target is None:
            return f"the rules file has no target {notice.target}"
        return send(target, notice, self._ending)

    def _write_outcomes(self) -> None:
        if not self._unwritten:
            return
        with writing_alerts(self._storage) as connection:
            for number, (state, error) in self._unwritten.items():
                note_outcome(connection, number, state, error)
        self._unwritten.clear()


def _one_each(notices: Iterable[Notice]) -> list[Notice]:
    """The first for each target."""
    first: dict[str, Notice] = {}
    for one in notices:
        first.setdefault(one.target, one)
    return list(first.values())


def _is_due(one: Notice, now_ns: int) -> bool:
    return _seconds_to(one, now_ns) <= 0


def _seconds_to(one: Notice, now_ns: int) -> float:
    """How long until it is to be tried; a clock that has gone back does not put it off."""
    if one.tried_at is None or now_ns < one.tried_at:
        return 0.0
    return max(0.0, pause_s(one.tries) - (now_ns - one.tried_at) / _NS_PER_S)
