"""Owns what `doctor` tells of damage: to the key, to the first lines of log files, and databases that were set aside."""

import sqlite3
from collections.abc import Iterator

from otel_metrics.errors import StoreDamaged
from otel_metrics.store.aside import databases_set_aside, is_bereft
from otel_metrics.store.health import Check, size_of
from otel_metrics.store.journal_files import read_header
from otel_metrics.store.key import load_key
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.places import header_at
from otel_metrics.store.repair import salvaged_from
from otel_metrics.store.telling import damaged

_REPAIR = "`otel-metrics doctor --repair` copies what can still be read"


def damage(connection: sqlite3.Connection | None, layout: StoreLayout) -> Iterator[Check]:
    """One check for each thing. Without a connection there are no tables, and nothing was copied into them."""
    if is_bereft(layout.database):
        error = damaged(layout.database, "it is empty beside its write-ahead log")
        yield Check("database", False, error.found, error.remedy, error)
    yield from _key(layout)
    yield from _headless(connection, layout)
    yield from _set_aside(connection, layout)


def _key(layout: StoreLayout) -> Iterator[Check]:
    if layout.key_file.exists():
        try:
            load_key(layout, None)
        except StoreDamaged as error:
            yield Check("key", False, error.found, error.remedy, error)


def _headless(connection: sqlite3.Connection | None, layout: StoreLayout) -> Iterator[Check]:
    """Log files whose first line can not be read: those of ours are read all the same."""
    for path in layout.journal_files():
        if not path.exists() or read_header(path) is not None:
            continue
        header = header_at(path)
        if header is None:
            yield Check("log file", None, f"{path} is not a log of ours and is not read: look at it, then remove it")
            continue
        row = None
        if connection is not None:
            query = "SELECT lines FROM journal_files WHERE journal_id = ?"
            row = connection.execute(query, (header.journal_id,)).fetchone()
        found = f"{path} has lost its first line, its others count; {row[0] if row else 'none'} were read after that"
        yield Check("log file", None, found)


def _set_aside(connection: sqlite3.Connection | None, layout: StoreLayout) -> Iterator[Check]:
    known = {} if connection is None else salvaged_from(connection)
    for path in databases_set_aside(layout.database):
        size = size_of(sum(one.stat().st_size for one in layout.damaged_files() if one.name.startswith(path.name)))
        told = _REPAIR
        if path.name in known:
            told = f"{known[path.name]:,} rows were copied from it, remove it when nothing else is wanted of it"
        yield Check("set aside", None, f"{path}, {size}, is damaged: {told}")
