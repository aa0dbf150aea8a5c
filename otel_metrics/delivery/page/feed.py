"""Owns the one set of answers behind all open pages: following the store in a thread, and cards that are asked for once for all."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from otel_metrics.analytics.answers import Answers
from otel_metrics.analytics.engine import Memory
from otel_metrics.delivery.cli.desk import NOT_SENT, is_there
from otel_metrics.delivery.page.card import Cards
from otel_metrics.delivery.page.place import CALM, Place
from otel_metrics.delivery.page.watch import Watching
from otel_metrics.errors import OtelMetricsError, StoreDamaged, StoreError, StoreNewer
from otel_metrics.settings import Settings
from otel_metrics.store.tables import MetricsStorage

Answer = TypeVar("Answer")
View = Callable[["Feed", Place], Cards]
_LEAST_OLD_S, _MOST_OLD_S, _PART = 30.0, 600.0, 720.0
"""Where nothing is recorded, figures are asked for again when their window has moved by this part of it."""
_REST, _MOST_REST_S, _LEAST_REST = 9.0, 3.0, 3.0
"""A view rests for nine times what its figures took, but for three seconds at most, so that what is new shows at the second
look; where they take more than a second it rests for three times that: the processor is left to others."""
_CALM_S = 60.0
_CHEAP_S = 0.05
_MOST_KEPT = 64
_MEMORY = Memory(120_000_000)
"""A page that stays open for days leaves the memory to the bot beside it. A large question is as fast from the disk: 2.6 s
for the hours of 30 days with 10 million rows, with this much and with 700 MB."""
_LOOK_AT_ROWS_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Health:
    """How the store is: `reading` (the first time), `empty`, `fine`, `damaged`, `newer` or `failed`, and what there is to say."""

    state: str
    message: str = ""


@dataclass(slots=True)
class _Kept:
    cards: Cards
    version: int
    made_at: float
    oldest_s: float
    rests_s: float


class Feed:
    """Follows a store for pages. `version` grows with everything that changes; calls that ask run in one thread."""

    def __init__(self, settings: Settings, storage: MetricsStorage) -> None:
        self.settings, self.storage = settings, storage
        self.answers = Answers(storage, settings, memory=_MEMORY)
        self.health = Health("reading")
        self.watching = Watching()
        self.version = 0
        self.read_at = 0.0
        self._seen: object = None
        self._shown: object = None
        self._kept: dict[tuple[str, float, tuple[tuple[str, str], ...]], _Kept] = {}
        self._remembered: dict[tuple[str, float], tuple[float, Any]] = {}
        self._seldom_s = 0.0  # what the view in hand has spent on answers that are remembered
        self._thread = ThreadPoolExecutor(1, "otel_metrics page")
        self._aside = ThreadPoolExecutor(1, "otel_metrics upkeep")
        self._next_look_at_rows = 0.0

    async def ask(self, question: Callable[[], Answer]) -> Answer:
        """Runs a question in the feed's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    async def follow(self) -> None:
        """Takes in what is new in the store, where anything is."""
        await self.ask(self._follow)

    async def cards(self, view: View, place: Place) -> Cards:
        """The cards of a view; as they were, where nothing has changed or they took so long that they may rest."""
        key = (place.view, place.hours, tuple(sorted(place.wishes.items())))
        kept = self._kept.get(key)
        if kept is not None and self._may_stay(kept):
            return kept.cards
        return await self.ask(lambda: self._make(key, view, place))

    def remembered(self, name: str, hours: float, most_s: float, question: Callable[[], Answer]) -> Answer:
        """An answer that changes slowly: one that cost something is asked for again when it is older than `most_s`.

        For who is in the feed's thread.
        """
        known, now = self._remembered.get((name, hours)), time.monotonic()
        if known is not None and now < known[0]:
            answer: Answer = known[1]
            return answer
        answer = question()
        cost_s = time.monotonic() - now
        self._seldom_s += cost_s
        self._remembered[name, hours] = (now + most_s if cost_s > _CHEAP_S else 0.0, answer)
        while len(self._remembered) > _MOST_KEPT:
            del self._remembered[next(iter(self._remembered))]
        return answer

    def forget(self) -> None:
        """Lets all cards be asked for anew: somebody has changed what they show."""
        self.version += 1
        self._kept.clear()
        self._remembered.clear()

    def close(self) -> None:
        """Ends the threads and lets the memory go."""
        self._thread.shutdown(cancel_futures=True)
        self._aside.shutdown(cancel_futures=True)
        self.answers.close()

    def _may_stay(self, kept: _Kept) -> bool:
        age_s = time.monotonic() - kept.made_at
        if kept.version == self.version:
            return age_s < max(kept.oldest_s, kept.rests_s)
        return age_s < kept.rests_s

    def _make(self, key: Any, view: View, place: Place) -> Cards:
        kept = self._kept.get(key)
        if kept is not None and self._may_stay(kept):  # another page has asked meanwhile
            return kept.cards
        version, began, self._seldom_s = self.version, time.monotonic(), 0.0
        cards = view(self, place)
        now = time.monotonic()
        self._kept.pop(key, None)
        rests_s = _rests_s(place, now - began - self._seldom_s)
        self._kept[key] = _Kept(cards, version, now, _oldest_s(place), rests_s)
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return cards

    def _follow(self) -> None:
        seen = self._files()
        if self.settings.backend is not None:  # what is new there shows by itself: a minute's work of others for nobody
            seen = (*seen, (round(time.monotonic() / _LOOK_AT_ROWS_EVERY_S), 0))
        if seen == self._seen and self.health.state in {"fine", "empty"}:
            return
        try:
            health = self._take_in()
        except StoreDamaged as error:
            health = Health("damaged", str(error))
        except StoreNewer as error:
            health = Health("newer", str(error))
        except (OtelMetricsError, OSError, sqlite3.Error, duckdb.Error) as error:
            health = Health("failed", str(error))
        shown = (seen if self.settings.backend is not None else self._files(logs=False), health)
        self._seen = seen
        if shown != self._shown:
            self._shown, self.health = shown, health
            self.version += 1
        self.read_at = time.time()

    def _take_in(self) -> Health:
        if self.settings.backend is not None:
            self.answers.refresh()
            return Health("fine", NOT_SENT)
        if not is_there(self.storage):
            return Health("empty")
        try:
            self.storage.drain()
        except (StoreDamaged, StoreNewer):
            raise
        except (StoreError, OSError) as error:
            self.answers.refresh()  # what can not be moved can not be shown; the tables can
            return Health(
                "fine", f"The log can not be moved into the tables now ({error}): the newest records are missing here."
            )
        self.answers.refresh()
        if time.monotonic() >= self._next_look_at_rows:
            self._next_look_at_rows = time.monotonic() + _LOOK_AT_ROWS_EVERY_S
            self._aside.submit(self._make_fast)
        return Health("fine")

    def _make_fast(self) -> None:
        """Rows go to segments where many have come, as with every reading command. What fails here shows when it is read."""
        from otel_metrics.analytics.cold_store import take_over
        from otel_metrics.analytics.compaction import compact, is_due

        with suppress(OtelMetricsError, OSError, sqlite3.Error):
            take_over(self.storage, 0.0)
            if is_due(self.storage, self.settings.compact_rows):
                compact(self.storage, self.settings, wait_s=0.0)

    def _files(self, *, logs: bool = True) -> tuple[tuple[int, int], ...]:
        """Sizes and times of the store's files: as long as they stay nothing was recorded."""
        layout = self.storage.layout
        paths = [layout.database, layout.database.with_name(f"{layout.database.name}-wal")]
        return tuple(_stamp(path) for path in (*paths, *(layout.journal_files() if logs else ())))


def _oldest_s(place: Place) -> float:
    return min(_MOST_OLD_S, max(_LEAST_OLD_S, place.hours * 3600 / _PART))


def _rests_s(place: Place, cost_s: float) -> float:
    if place.view in CALM:
        return max(cost_s * _REST, _CALM_S if cost_s > _CHEAP_S else 0.0)
    return max(min(cost_s * _REST, _MOST_REST_S), cost_s * _LEAST_REST)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return found.st_size, found.st_mtime_ns
