"""Where logs are read on whose first lines, lengths or tables were damaged: every line that can be read is stored once."""

import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.desk import desk
from support.stores import layout_in, rows

from otel_metrics.model.records import SystemMetric, encode_line
from otel_metrics.settings import Settings
from otel_metrics.store.journal import Journal
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

NOW = "2026-01-01T12:00:00.000000Z"


def value(number: int) -> bytes:
    """The line of a measured value, which no key keeps from being stored twice."""
    return encode_line(SystemMetric(NOW, "metric", "system_metric", "", "number", str(number), {}, {}))


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    return layout_in(tmp_path)


@pytest.fixture
def journal(layout: StoreLayout) -> Journal:
    return Journal(layout, max_bytes=10**6)


@pytest.fixture
def storage(layout: StoreLayout) -> MetricsStorage:
    settings = Settings(database=layout.database, log_file=layout.log_file, log_backups=2, retention_days=0)
    return MetricsStorage(layout, settings)


def write(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        journal.append(value(number))


def stored(layout: StoreLayout) -> list[int]:
    return sorted(int(row["value"]) for row in rows(layout.database, "system_metrics"))


def overwrite(path: Path, start: int, replacement: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(replacement)


def zero_header(path: Path) -> None:
    overwrite(path, 0, bytes(path.read_bytes().index(b"\n")))


def zero_header_and_more(path: Path) -> None:
    """The second line, in which the process says who it is, is gone too."""
    overwrite(path, 0, bytes(path.read_bytes().index(b"\n") + 30))


def take_header_away(path: Path) -> None:
    path.write_bytes(path.read_bytes().partition(b"\n")[2])


def other_id(path: Path) -> None:
    overwrite(path, len(b'{"kind":"file","journal_id":"'), b"0123")


def impossible_time(path: Path) -> None:
    overwrite(path, path.read_bytes().index(b'"timestamp":"') + len(b'"timestamp":"2026-'), b"99")


def no_text(path: Path) -> None:
    overwrite(path, path.read_bytes().index(b"journal_started"), b"\xff\xfe")


HARMS = [zero_header, zero_header_and_more, take_header_away, other_id, impossible_time, no_text]
each_harm = pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
Harm = Callable[[Path], None]


@each_harm
@pytest.mark.parametrize("drained", [0, 10, 20])
def test_rotated_log_with_a_damaged_header_is_stored_once(
    layout: StoreLayout, journal: Journal, storage: MetricsStorage, harm: Harm, drained: int
) -> None:
    """Whatever of it was in the tables before, all its lines are in them once afterwards; those of later logs too."""
    write(journal, *range(drained))
    if drained:
        storage.drain()
    write(journal, *range(drained, 20))
    journal.rotate()
    harm(layout.rotated_file(1))
    write(journal, *range(20, 30))
    journal.close()
    for _ in range(3):
        storage.drain()
        assert stored(layout) == list(range(30))
    account = storage.account()
    assert account.missing <= (1 if harm is zero_header_and_more else 0)
    storage.prune()


@each_harm
def test_rotated_log_whose_header_is_damaged_when_it_was_read_is_not_read_again(
    layout: StoreLayout, journal: Journal, storage: MetricsStorage, harm: Harm
) -> None:
    """A log that is in the tables to its end stays so."""
    write(journal, *range(20))
    journal.rotate()
    write(journal, *range(20, 30))
    journal.close()
    storage.drain()
    harm(layout.rotated_file(1))
    for _ in range(3):
        storage.drain()
        write(journal, 30)
        journal.close()
    storage.drain()
    assert stored(layout) == [*range(30), 30, 30, 30]


def test_damaged_log_goes_like_the_others(layout: StoreLayout, journal: Journal, storage: MetricsStorage) -> None:
    """Beyond the number that is kept it is deleted, when it is in the tables."""
    for number in range(5):
        write(journal, number)
        journal.rotate()
    zero_header(layout.rotated_file(1))
    zero_header(layout.rotated_file(5))
    journal.close()
    storage.drain()
    assert [path.name for path in layout.rotated_files()] == ["metrics.jsonl.000004", "metrics.jsonl.000005"]
    assert stored(layout) == list(range(5))


def test_doctor_tells_of_a_damaged_log(layout: StoreLayout, journal: Journal, storage: MetricsStorage) -> None:
    """As information, since its lines are stored; so it does of a file that is none of ours."""
    write(journal, 1, 2)
    journal.rotate()
    journal.close()
    take_header_away(layout.rotated_file(1))
    layout.rotated_file(2).write_text("somebody's notes\n")
    storage.drain()
    status, said = desk("doctor", "--database", layout.database)
    assert status == 0, said
    assert f"{layout.rotated_file(1)} has lost its first line, its others count; 3 were read" in said
    assert f"{layout.rotated_file(2)} is not a log of ours and is not read" in said


@each_harm
def test_living_writers_lose_nothing_when_their_log_is_damaged(
    layout: StoreLayout, journal: Journal, storage: MetricsStorage, harm: Harm
) -> None:
    """They go on to a new log at their next look; what they wrote to the damaged one until then is stored too."""
    other = Journal(layout, max_bytes=10**6)
    write(journal, 0, 1)
    write(other, 2, 3)
    storage.drain()
    harm(layout.log_file)
    write(journal, 4)
    write(other, 5)
    storage.drain()
    newcomer = Journal(layout, max_bytes=10**6)
    write(newcomer, 6)
    journal.look()
    write(other, 7)
    write(journal, 8)
    storage.drain()
    other.look()
    write(other, 9)
    for one in (journal, other, newcomer):
        one.close()
    storage.drain()
    assert stored(layout) == list(range(10))


@pytest.mark.parametrize("seed", range(20))
def test_log_that_was_cut_off_is_read_on_where_it_grew(
    layout: StoreLayout, journal: Journal, storage: MetricsStorage, seed: int
) -> None:
    """Lines that are written behind the cut are stored; those before it, which were stored, are not stored again."""
    chance = random.Random(seed)
    write(journal, *range(20))
    storage.drain()
    size = layout.log_file.stat().st_size
    header = layout.log_file.read_bytes().index(b"\n") + 1
    os.truncate(layout.log_file, chance.randrange(header, size))
    write(journal, 100)  # behind a torn line, without a line end between
    if chance.random() < 0.5:
        storage.drain()
    write(journal, *range(101, 101 + chance.choice([1, 5, 30])))
    journal.close()
    storage.drain()
    found = stored(layout)
    assert found[:20] == list(range(20))
    assert len(found) == len(set(found))
    assert set(range(101, max(found) + 1)) <= set(found)
    assert 100 in found or layout.rejected_file.exists()


def test_log_that_was_emptied_is_read_on(layout: StoreLayout, journal: Journal, storage: MetricsStorage) -> None:
    """What two writers put into a log that somebody emptied under them, and into the next one, is all stored."""
    other = Journal(layout, max_bytes=10**6)
    write(journal, 0)
    write(other, 1)
    storage.drain()
    os.truncate(layout.log_file, 0)
    write(journal, 2)
    write(other, 3)
    journal.look()
    write(other, 4)
    write(journal, 5)
    other.look()
    write(other, 6)
    journal.close()
    other.close()
    storage.drain()
    assert stored(layout) == list(range(7))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_files SET journal_id = 'x' || journal_id",
        "UPDATE journal_files SET offset = offset + 7",
        "UPDATE journal_files SET offset = offset - 7",
        "UPDATE journal_files SET offset = -1",
        "UPDATE journal_files SET offset = 'much'",
        "UPDATE journal_files SET offset = 9223372036854775807",
        "UPDATE journal_files SET sealed = 1",
        "DELETE FROM journal_files",
    ],
)
def test_wrong_note_of_where_to_read_on_is_mended(
    layout: StoreLayout, journal: Journal, storage: MetricsStorage, statement: str
) -> None:
    """Where the tables' own note of a log's place is damaged, the lines tell which have been read."""
    write(journal, *range(10))
    storage.drain()
    with closing(sqlite3.connect(layout.database)) as connection, connection:
        connection.execute(statement)
    write(journal, *range(10, 20))
    journal.rotate()
    write(journal, *range(20, 25))
    journal.close()
    storage.drain()
    assert stored(layout) == list(range(25))
    assert storage.account().missing == 0


def test_damaged_numbers_do_not_lead_astray(layout: StoreLayout, journal: Journal, storage: MetricsStorage) -> None:
    """Lines whose numbers or writers are damaged, and seem new or old, change nothing about those behind them."""
    write(journal, *range(20))
    storage.drain()
    write(journal, *range(20, 30))
    journal.close()
    content = layout.log_file.read_bytes()
    for number, harmed in {7: 77, 8: 88, 18: 98, 26: 2}.items():
        content = content.replace(b'"nth":%d}' % number, b'"nth":%d}' % harmed)
    first = content.index(b'"process":"') + len(b'"process":"')
    layout.log_file.write_bytes(content[:first] + b"x" + content[first + 1 :])
    other_id(layout.log_file)
    storage.drain()
    assert stored(layout) == list(range(30))


def test_logs_in_the_wrong_order_are_all_read(layout: StoreLayout, journal: Journal, storage: MetricsStorage) -> None:
    """A log that is read before an older one, because somebody renamed it, does not make the older one seem read."""
    for number in range(5):
        write(journal, *range(number * 10, number * 10 + 10))
        journal.rotate()
    journal.close()
    layout.rotated_file(5).rename(layout.rotated_file(0))
    layout.rotated_file(3).rename(layout.rotated_file(7))
    storage.drain()
    assert stored(layout) == list(range(50))
    assert storage.account().missing == 0
