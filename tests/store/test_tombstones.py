"""Tombstones: lines of the log that are read again bring nobody back who was forgotten."""

import itertools
import json
import time
from pathlib import Path

import pytest
from support.people import ANNA, BERT, MODERATOR, SLACK, STRANGERS, make_people, tables

from otel_metrics.model.identity import IdHasher, as_integer_id
from otel_metrics.model.records import SessionBegin, encode_line
from otel_metrics.model.times import iso, to_ns
from otel_metrics.store.forget import forget
from otel_metrics.store.journal import Journal
from otel_metrics.store.journal_files import read_header
from otel_metrics.store.key import load_key
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tombstones import Tombstones, bury

HASHER = IdHasher(b"k" * 32)
MARK = b'{"kind":"forgotten"'
FAR_NS = to_ns("2100-01-01T00:00:00Z")


def load(layout: StoreLayout) -> Tombstones:
    return Tombstones.load(layout, HASHER)


def session(user: int, moment: str) -> bytes:
    record = SessionBegin(f"session of {user}", moment, "metric", "session_started", "", user, user, {})
    return encode_line(record)


@pytest.fixture
def layout(tmp_path: Path) -> StoreLayout:
    return StoreLayout(tmp_path / "metrics.db", tmp_path / "metrics.jsonl")


def write(layout: StoreLayout, *lines: bytes) -> list[bytes]:
    """Writes lines into the journal and gives it as it is read."""
    journal = Journal(layout, max_bytes=10**8)
    for line in lines:
        journal.append(line)
    journal.close()
    return layout.log_file.read_bytes().splitlines()


def test_tombstone_says_nothing_but_hashes_and_a_time(layout: StoreLayout) -> None:
    """The file is private and holds keyed hashes for each person, never an id, nor a hash that was sent."""
    bury(layout, HASHER, ANNA, to_ns("2026-01-01T00:00:00Z"))
    bury(layout, HASHER, BERT, to_ns("2026-01-02T00:00:00Z"))
    stones = [json.loads(line) for line in layout.tombstones_file.read_text().splitlines()]
    for stone, person, day in zip(stones, (ANNA, BERT), ("01", "02"), strict=True):
        as_sent = [HASHER.hash(kind, person) for kind in ("user", "chat", "moderator")]
        assert stone == {
            "hash": HASHER.hash("forget", person), "until": f"2026-01-{day}T00:00:00.000000Z",
            "sent": [HASHER.text(one) for one in as_sent],
        }  # fmt: skip
        assert not any(one in layout.tombstones_file.read_text() for one in as_sent)
    assert layout.tombstones_file.stat().st_mode & 0o777 == 0o600


def test_torn_tombstone_harms_no_other(layout: StoreLayout) -> None:
    """A tombstone that was torn by a full disk or a kill is passed over; the next one begins on a line of its own."""
    bury(layout, HASHER, ANNA, FAR_NS)
    with layout.tombstones_file.open("ab") as file:
        file.write(b'{"hash":"12')
    bury(layout, HASHER, BERT, FAR_NS)
    lines = write(layout, session(ANNA, iso(0)), session(BERT, iso(0)))
    assert [b"forgotten" in line for line in load(layout).filter(lines)] == [False, False, True, True]


def test_store_without_tombstones_keeps_its_lines(layout: StoreLayout) -> None:
    """Where nobody was forgotten there is nothing to ask, and every line stays."""
    tombstones = load(layout)
    lines = write(layout, session(ANNA, iso(0)))
    assert not tombstones
    header = read_header(layout.log_file)
    assert header is not None
    assert not tombstones.applies_to(header)
    assert list(tombstones.filter(lines)) == lines


def test_later_lines_of_a_forgotten_person_stay(layout: StoreLayout) -> None:
    """Forgetting is about what was: who comes back afterwards is recorded as anybody else."""
    now_ns, day_ns = time.time_ns(), 86_400 * 10**9
    lines = write(layout, session(ANNA, iso(now_ns)), session(ANNA, iso(now_ns + 2 * day_ns)))
    bury(layout, HASHER, ANNA, now_ns + day_ns)
    bury(layout, HASHER, ANNA, now_ns - day_ns)  # of two for one person the newest counts
    assert (load(layout).until_of(ANNA), load(layout).until_of(BERT)) == (iso(now_ns + day_ns), "")
    kept = [load(layout).keep(line) for line in lines]
    assert [line == one for line, one in zip(lines, kept, strict=True)] == [True, True, False, True]


def test_only_files_from_before_are_looked_at(layout: StoreLayout) -> None:
    """A file that began after the newest tombstone holds nobody who was forgotten."""
    write(layout, session(ANNA, iso(0)))
    header = read_header(layout.log_file)
    assert header is not None
    bury(layout, HASHER, ANNA, to_ns(header.timestamp) - 10**9)
    assert not load(layout).applies_to(header)
    bury(layout, HASHER, BERT, to_ns(header.timestamp) + 10**9)
    assert load(layout).applies_to(header)


@pytest.mark.parametrize("user", [ANNA, MODERATOR, SLACK])
def test_tombstones_do_to_lines_what_forgetting_does(tmp_path: Path, user: int | str) -> None:
    """Lines of logs that were not rewritten yet come out of the tombstones exactly as forgetting rewrites them."""
    storage = make_people(tmp_path)
    layout = storage.layout
    hasher = IdHasher(load_key(layout, None))
    bury(layout, hasher, as_integer_id(user)[0], FAR_NS)
    tombstones = Tombstones.load(layout, hasher)
    filtered = [list(tombstones.filter(path.read_bytes().splitlines())) for path in layout.journal_files()]

    forget(layout, hasher, user)

    rewritten = [path.read_bytes().splitlines() for path in layout.rotated_files()]
    for ours, theirs in zip(itertools.chain(*filtered), itertools.chain(*rewritten), strict=True):
        if ours.startswith(MARK) and theirs.startswith(MARK):  # the same but for the time
            assert ours.rpartition(b',"process"')[2] == theirs.rpartition(b',"process"')[2]
        else:
            assert ours == theirs


@pytest.mark.parametrize("by_forgetting_another", [False, True])
def test_rebuilt_tables_bring_nobody_back(tmp_path: Path, by_forgetting_another: bool) -> None:
    """Where forgetting was killed behind its tombstone and the database is lost, the tables that are made anew are without them."""
    storage = make_people(tmp_path)
    layout = storage.layout
    hasher = IdHasher(load_key(layout, None))
    bury(layout, hasher, ANNA, time.time_ns())
    for end in ("", "-wal", "-shm"):
        layout.database.with_name(f"metrics.db{end}").unlink(missing_ok=True)
    if by_forgetting_another:
        forget(layout, hasher, BERT)
    else:
        storage.drain(10)
    found = str(tables(layout.database))
    for stranger in STRANGERS:
        found = found.replace(stranger, "")
    assert str(ANNA) not in found
    assert str(MODERATOR) in found
