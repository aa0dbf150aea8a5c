"""Owns the time by which the background deletes what is old: a clock that has jumped is not believed at once.

A clock that is set ten years ahead would make everything old. So the time of the last look stands in the store, and a
new one is believed where it is within a day of what has passed since; beyond that only after a day of running under it.
Who asks for deletion by hand (`otel-metrics prune`) is believed.
"""

import sqlite3
import time

_DAY_NS = 86_400_000_000_000
_NAMES = ("believed_ns", "elapsed_ns", "doubt_ns")


def believed_now_ns(connection: sqlite3.Connection, wall_ns: int | None = None, elapsed_ns: int | None = None) -> int:
    """The time to reckon ages by, never later than the wall clock. Call only while holding the drain lock.

    `elapsed_ns` is a clock that nobody sets and that counts on while the machine sleeps; it starts anew with the machine.
    """
    wall_ns = time.time_ns() if wall_ns is None else wall_ns
    elapsed_ns = _elapsed_ns() if elapsed_ns is None else elapsed_ns
    known: dict[str, int] = dict(
        connection.execute("SELECT name, value FROM counters WHERE name IN (?, ?, ?)", _NAMES).fetchall()
    )
    passed_ns = elapsed_ns - known.get("elapsed_ns", elapsed_ns)
    if passed_ns < 0:  # the machine was started since
        passed_ns = elapsed_ns
    believed_ns = known.get("believed_ns", wall_ns) + passed_ns
    doubt_ns = known.get("doubt_ns", 0) + passed_ns
    if abs(wall_ns - believed_ns) <= _DAY_NS or doubt_ns >= _DAY_NS:
        believed_ns, doubt_ns = wall_ns, 0
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        list(zip(_NAMES, (believed_ns, elapsed_ns, doubt_ns), strict=True)),
    )
    return min(believed_ns, wall_ns)


def _elapsed_ns() -> int:
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
