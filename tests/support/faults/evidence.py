"""What the files of a store hold of a bot's records, read from outside: journal lines as JSON, tables by sqlite3; and the sum over many."""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from support.faults import Faults
from support.faults.bot import Bot, Record
from support.stores import layout_in

_NUMBER_OF = {"system": "value", "log": "number", "begin": "session_id", "stage": "session_id"}


@dataclass
class Evidence:
    """The bot's records by how often they are there; `torn` are lines of the journal that are no JSON."""

    lines: Counter[Record] = field(default_factory=Counter)
    rows: Counter[Record] = field(default_factory=Counter)
    running: set[int] = field(default_factory=set)
    torn: int = 0
    rejected: int = 0
    told: Counter[str] = field(default_factory=Counter)
    """What the journal tells of drops, by reason."""


def evidence_in(folder: Path) -> Evidence:
    """Looks into a store whose journal files are all still there."""
    found = Evidence()
    _read_journal(folder, found)
    _read_tables(folder, found)
    return found


def _read_journal(folder: Path, found: Evidence) -> None:
    told: dict[str, dict[str, int]] = {}
    layout = layout_in(folder)
    for path in (*layout.rotated_files(), layout.log_file):
        for line in filter(None, path.read_bytes().split(b"\n")):
            try:
                entry = json.loads(line)
            except ValueError:
                found.torn += 1
                continue
            if entry["kind"] in _NUMBER_OF:
                found.lines[entry["kind"], int(str(entry[_NUMBER_OF[entry["kind"]]]).removeprefix("s"))] += 1
            elif entry["kind"] == "tally":
                told[entry["process"]] = entry["dropped"]
    for dropped in told.values():
        found.told.update(dropped)


def _read_tables(folder: Path, found: Evidence) -> None:
    with closing(sqlite3.connect(layout_in(folder).database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for kind, question in (
            ("system", "SELECT value FROM system_metrics"),
            ("log", "SELECT fields ->> 'number' FROM logs"),
            ("stage", "SELECT substr(session_id, 2) FROM processing_metrics"),
        ):
            found.rows.update((kind, int(number)) for (number,) in connection.execute(question))
        found.running = {int(row[0]) for row in connection.execute("SELECT substr(session_id, 2) FROM running")}
        (found.rejected,) = connection.execute("SELECT coalesce(sum(rejected), 0) FROM journal_files").fetchone()
        ledgers = connection.execute("SELECT process, base, last, stored FROM ledgers").fetchall()
    assert [row for row in ledgers if row[1] + row[3] != row[2]] == [], "lines of a writer are missing or twice"


def settle(bot: Bot, folder: Path) -> Evidence:
    """Lets the bot drain and checks its account."""
    bot.flush()
    return check(bot, folder)


def check(bot: Bot, folder: Path) -> Evidence:
    """Every record is in the journal and in the tables once, or it was dropped and is counted and told by its reason."""
    found, losses = evidence_in(folder), bot.losses()
    assert found.lines == Counter(bot.kept), _difference(found.lines, bot.kept)
    assert found.rows == Counter(record for record in bot.kept if record[0] != "begin")
    begun, ended = ({number for kind, number in bot.kept if kind == name} for name in ("begin", "stage"))
    assert found.running == begun - ended
    assert found.rejected == found.torn
    dropped = Counter({one: count for one, count in losses.items() if one not in {"fault_in_drain", "not_confirmed"}})
    assert dropped == bot.dropped
    assert found.told == dropped
    return found


def _difference(found: Counter[Record], kept: set[Record]) -> str:
    return f"lost {sorted(kept - set(found))[:9]}, not acknowledged {sorted(set(found) - kept)[:9]}"


class Account:
    """What all scenarios of a test come to."""

    def __init__(self) -> None:
        self.scenarios = self.hits = self.made = self.kept = self.rows = self.torn = 0
        self.dropped: Counter[str] = Counter()
        self.slowest_s = 0.0

    def suffer(self, bot: Bot, faults: Faults, nth: int, *, drains: bool = False) -> None:
        """Lets the bot work until the Nth call has been harmed, a little longer, and on when the disk is mended."""
        for _ in range(4 * nth + 20):
            bot.work(2)
            if drains:
                bot.tick()
            if faults.hit:
                break
        else:
            raise AssertionError(f"call {nth} never came; {faults.seen} did")
        bot.work(3)
        if drains:
            bot.tick()
        faults.heal()
        self.hits += faults.hit
        seconds = bot.resume()
        self.slowest_s = max(self.slowest_s, seconds)
        assert seconds < 5.0  # the promise
        bot.work(2)

    def add(self, bot: Bot, folder: Path) -> None:
        """Checks one bot's store and adds it."""
        self.take(bot, settle(bot, folder))

    def take(self, bot: Bot, found: Evidence) -> None:
        """Adds what was found in a store that has been checked."""
        self.scenarios += 1
        self.made += len(bot.made)
        self.kept += len(bot.kept)
        self.rows += found.rows.total()
        self.torn += found.torn
        self.dropped += bot.dropped
        assert self.made == self.kept + self.dropped.total()

    def tell(self, title: str) -> None:
        """Prints it."""
        print(
            f"{title}: {self.scenarios} scenarios, {self.hits} calls harmed, {self.made} records made, "
            f"{self.kept} acknowledged, {self.rows} rows stored, {self.torn} lines torn, dropped {dict(self.dropped)}, "
            f"slowest resuming {self.slowest_s:.3f} s"
        )
