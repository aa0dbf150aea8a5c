"""Owns what goes when it is old: rows beyond the retention time, rotated logs beyond their number or age."""

import sqlite3
from dataclasses import dataclass, field

from otel_metrics.model.times import iso
from otel_metrics.store.database import note_deletions
from otel_metrics.store.journal_files import read_header
from otel_metrics.store.layout import StoreLayout

_NS_PER_DAY = 86_400_000_000_000
_TIME_OF = {
    "processing_metrics": "end_time",
    "correction_metrics": "timestamp",
    "system_metrics": "timestamp",
    "spans": "end_time",
    "logs": "timestamp",
    "running": "start_time",
}


@dataclass(slots=True)
class Pruned:
    """What was deleted: rows by table, and the names of log files."""

    rows: dict[str, int] = field(default_factory=dict)
    log_files: list[str] = field(default_factory=list)


def prune(
    connection: sqlite3.Connection, layout: StoreLayout, *, now_ns: int, retention_days: float, backups: int
) -> Pruned:
    """Deletes by age and number. A session goes when it is old and none of its rows is left; 0 days keeps all rows."""
    pruned = Pruned()
    cutoff_ns = now_ns - round(retention_days * _NS_PER_DAY)
    if retention_days > 0:
        _prune_rows(connection, iso(cutoff_ns), pruned)
    cutoff_log_ns = cutoff_ns if retention_days > 0 else 0
    pruned.log_files = prune_logs(connection, layout, backups=backups, cutoff_ns=cutoff_log_ns)
    return pruned


def _prune_rows(connection: sqlite3.Connection, cutoff: str, pruned: Pruned) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table, column in _TIME_OF.items():
            count = connection.execute(f"DELETE FROM {table} WHERE {column} < ?", (cutoff,)).rowcount
            if count:
                pruned.rows[table] = count
        count = connection.execute(
            "DELETE FROM sessions WHERE coalesce(ended_at, started_at) < ? AND session_id NOT IN "
            "(SELECT session_id FROM processing_metrics)",  # not a correlated question: there is no index to answer it
            (cutoff,),
        ).rowcount
        if count:
            pruned.rows["sessions"] = count
        if pruned.rows:
            note_deletions(connection)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def prune_logs(connection: sqlite3.Connection, layout: StoreLayout, *, backups: int, cutoff_ns: int = 0) -> list[str]:
    """Rotated logs go, oldest first, when there are too many or they are too old; never one that is not read to its end.

    Gives the names of those that went. Call only while holding the drain lock.
    """
    rotated = layout.rotated_files()
    sealed = {row[0] for row in connection.execute("SELECT journal_id FROM journal_files WHERE sealed = 1")}
    gone = []
    for position, path in enumerate(rotated):
        header = read_header(path)
        if header is None or header.journal_id not in sealed:
            continue
        if len(rotated) - position > backups or path.stat().st_mtime_ns < cutoff_ns:
            path.unlink()
            gone.append(path.name)
    return gone
