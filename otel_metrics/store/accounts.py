"""Owns the account of a store: `emitted = stored + in the journal + dropped`, counted and not assumed.

Every line carries the number that its writer gave it. So what was emitted is known from the highest numbers, what is
there is counted, and the difference is what went missing without being counted anywhere: it is to be 0.
"""

import sqlite3
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from otel_metrics.model.losses import LIMIT_REASON
from otel_metrics.store.journal_files import header_in
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.lines import tally_of


@dataclass(slots=True)
class Account:
    """Records by where they are now; what is `missing` should be there, is not, and was not counted by anybody."""

    emitted: int = 0
    stored: int = 0
    in_journal: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    missing: int = 0

    def equation(self) -> str:
        """The equation with its figures."""
        reasons = "".join(f", {count:,} {reason}" for reason, count in sorted(self.dropped.items()))
        dropped = f"{sum(self.dropped.values()):,} dropped{reasons and f' ({reasons[2:]})'}"
        missing = f" + {self.missing:,} MISSING" if self.missing else ""
        return f"{self.emitted:,} emitted = {self.stored:,} stored + {self.in_journal:,} in the journal + {dropped}{missing}"


def account_of(connection: sqlite3.Connection, layout: StoreLayout, writer: str | None = None) -> Account:
    """The account of all writers, or of one. Reads what of the journal is not in the tables yet."""
    waiting = _waiting(connection, layout)
    where, values = ("", ()) if writer is None else (" WHERE process = ?", (writer,))
    ledgers = {
        process: (last, stored, base, dropped)
        for process, last, stored, base, dropped in connection.execute(
            f"SELECT process, last, stored, base, dropped FROM ledgers{where}", values
        )
    }
    account, written, dropped = Account(), 0, Counter[str]()
    for process in ledgers.keys() | (waiting.keys() if writer is None else {writer} & waiting.keys()):
        last, stored, base, told = ledgers.get(process, (0, 0, 0, None))
        count, highest = waiting.get(process, (0, 0))
        # A line that a signal's handler overtook stands behind higher numbers, which the last one of a batch hides.
        written += max(max(last, highest) - base, stored + count)
        account.stored += stored
        account.in_journal += count
        if told:
            dropped.update(msgspec.json.decode(told, type=dict[str, int]))
    gone = max(0, written - account.stored - account.in_journal)
    explained = min(gone, dropped.pop(LIMIT_REASON, 0))
    unreadable = min(gone - explained, _rejected(connection)) if writer is None else 0
    account.emitted = written + dropped.total()
    account.missing = gone - explained - unreadable
    account.dropped = dict(dropped)
    if explained:
        account.dropped[LIMIT_REASON] = explained
    if unreadable:
        account.dropped["unreadable"] = unreadable
    return account


def _waiting(connection: sqlite3.Connection, layout: StoreLayout) -> dict[str, tuple[int, int]]:
    """By writer: lines behind the drained part of the journal, and the highest number among them."""
    offsets: dict[str, int] = dict(connection.execute("SELECT journal_id, offset FROM journal_files").fetchall())
    waiting: dict[str, tuple[int, int]] = {}
    seen: set[str] = set()
    # The current file first: if it is rotated meanwhile, it is among the others then and is not counted twice.
    tallies = [_undrained(layout.log_file, offsets, seen)]
    tallies += [_undrained(path, offsets, seen) for path in layout.rotated_files()]
    for tally in tallies:
        for writer, (count, highest) in tally.items():
            before, high = waiting.get(writer, (0, 0))
            waiting[writer] = before + count, max(high, highest)
    return waiting


def _undrained(path: Path, offsets: dict[str, int], seen: set[str]) -> dict[str, tuple[int, int]]:
    with suppress(FileNotFoundError), path.open("rb") as file:
        header = header_in(file)
        if header is not None and header.journal_id not in seen:
            seen.add(header.journal_id)
            file.seek(offsets.get(header.journal_id, 0))
            return tally_of(line.rstrip(b"\n") for line in file)
    return {}


def _rejected(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(sum(rejected), 0) FROM journal_files").fetchone()[0])
