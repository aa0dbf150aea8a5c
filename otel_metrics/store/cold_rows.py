"""Owns what the store asks of whoever can read and write segments: it has no DuckDB itself."""

import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.scrub import Scrubber
from otel_metrics.store.segments import Segment
from otel_metrics.store.tombstones import Tombstones


@dataclass(slots=True)
class Rewritten:
    """Segments that were written anew, not yet in the manifest: what takes the place of what, and why."""

    replaced: list[str] = field(default_factory=list)
    made: list[Segment] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)
    scrubbed: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Adopted:
    """Segments of another database that are this one's now: rows by table, and files that could not be read."""

    rows: dict[str, int] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)


class ColdRows(Protocol):
    """The segments of one store, for work on them while the drain lock is held. Made for one connection that writes."""

    def naming(self, scrubber: Scrubber) -> set[str]:
        """The sessions of which a row names the person as its user or chat, or in the session's own id."""

    def owners(self, sessions: Collection[str]) -> Iterable[tuple[str, int, int]]:
        """Session, user and chat, as far as rows of `sessions` tell."""

    def without(self, scrubber: Scrubber, sessions: Collection[str]) -> Rewritten:
        """Writes every segment anew that holds the person, without these sessions and without the person elsewhere."""

    def adopt(self, tombstones: Tombstones | None) -> Adopted:
        """Takes over whole segments that another database left beside this one; each row is there once afterwards."""

    def known(self, table: str, keys: Collection[str], since: str, until: str) -> set[str]:
        """Which of these keys rows of a table have that ended (or, of corrections, were made) between two times, ISO-8601 UTC."""

    def drop_known(self) -> int:
        """Deletes rows from the tables that are in segments too; gives how many."""


class OpensColdRows(Protocol):
    """Makes them."""

    def __call__(self, connection: sqlite3.Connection, layout: StoreLayout, /) -> ColdRows:
        """For a connection that writes and its store."""
