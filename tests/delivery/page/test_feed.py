"""What stands behind the pages: questions are asked when somebody looks and something has changed, and no oftener."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_metrics import MetricsService
from otel_metrics.analytics.compaction import is_due
from otel_metrics.delivery.cli.desk import storage_of
from otel_metrics.delivery.page.card import Card, Cards
from otel_metrics.delivery.page.catalogue import cards_of
from otel_metrics.delivery.page.feed import Feed
from otel_metrics.delivery.page.place import RANGES, VIEWS, Place, place_of
from otel_metrics.errors import QueryError
from otel_metrics.settings import Settings, load


class Counted:
    """A view that counts how often it is asked for."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, feed: Feed, place: Place) -> Cards:
        self.times += 1
        return [Card("counted", str(feed.answers.queue()["waiting"]))]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"database": tmp_path / "m.db", "log_file": tmp_path / "m.jsonl", "drain_interval_s": 0}, {})


@pytest.fixture
def feed(settings: Settings) -> Iterator[Feed]:
    made = Feed(settings, storage_of(settings))
    yield made
    made.close()


def _record(settings: Settings, sessions: int = 1) -> None:
    with MetricsService(settings) as service:
        for _ in range(sessions):
            session = service.create_session(1, 1)
            with service.timer(session, 1, 1, "ai_processing"):
                pass
            service.end_session(session)


def test_pages_at_one_place_share_one_answer(feed: Feed, settings: Settings):
    """Two pages at the same view ask once; another time range asks once more; without new records nobody asks again."""
    _record(settings)
    view = Counted()

    async def look() -> list[int]:
        told = []
        await feed.follow()
        for place in (Place("now"), Place("now"), Place("now", 6.0), Place("now")):
            await feed.cards(view, place)
            told.append(view.times)
        await feed.follow()
        await feed.cards(view, Place("now"))
        return [*told, view.times]

    assert asyncio.run(look()) == [1, 1, 2, 2, 2]


def test_a_new_record_is_seen_at_the_next_look(feed: Feed, settings: Settings):
    """What a bot records changes the version of the feed, once, and a store that rests does not."""

    async def versions() -> list[int]:
        told = []
        for records in (True, False, False, True):
            if records:
                _record(settings)
            await feed.follow()
            told.append(feed.version)
        return told

    first, second, third, fourth = asyncio.run(versions())
    assert first == second == third < fourth


def test_rows_go_to_segments_by_the_setting(tmp_path: Path):
    """`serve` moves rows into segments when METRICS_COMPACT_ROWS says so, as other reading commands do."""
    settings = load({"database": tmp_path / "m.db", "log_file": tmp_path / "m.jsonl", "compact_rows": 20}, {})
    _record(settings, 15)
    storage = storage_of(settings)
    storage.drain()
    assert is_due(storage, settings.compact_rows)
    feed = Feed(settings, storage)
    asyncio.run(feed.follow())
    feed.close()
    assert not is_due(storage, settings.compact_rows)
    assert list(storage.layout.segments_folder.glob("*.parquet"))


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_of_a_store_without_sessions_is_whole(feed: Feed, settings: Settings, view: str):
    """A store in which nothing has happened yet gives every view, with dashes and sentences in place of figures."""
    with MetricsService(settings) as service:
        service.record_system_metric("memory_mb", 1)

    async def look() -> Cards:
        await feed.follow()
        return await feed.cards(cards_of, Place(view))

    cards = asyncio.run(look())
    assert [card.name for card in cards] != ["state"]


def test_a_store_of_a_newer_program_is_told(feed: Feed, settings: Settings):
    """A database with a newer schema is not read; the page says which version it needs."""
    import sqlite3

    _record(settings)
    connection = sqlite3.connect(settings.database)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()

    async def look() -> Cards:
        await feed.follow()
        return await feed.cards(cards_of, Place())

    (card,) = asyncio.run(look())
    assert card.title == "The store is newer than this program"
    assert "9999" in card.body


@pytest.mark.parametrize("hours", [*RANGES, 2.5])
def test_a_place_has_an_address(hours: float):
    """Every view, range and wish can be linked to: the address leads back to the same place."""
    for view in VIEWS:
        place = Place(view, hours, {"q": "a=b&c <d>", "id": "ä/…"})
        assert place_of(place.url) == place


@pytest.mark.parametrize(
    "url", ["/nowhere", "/now?hours=0", "/now?hours=-1", "/now?hours=nan", "/now?hours=inf", "/now?hours=x"]
)
def test_an_address_that_leads_nowhere_is_told(url: str):
    """A view or a range that there is not is refused with what was expected."""
    with pytest.raises(QueryError, match="expected"):
        place_of(url)
