"""Owns running a query of the page in a process of its own, with limits on time, memory and rows."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass

from otel_metrics.errors import QueryError
from otel_metrics.settings import Settings

_AT_ONCE = threading.BoundedSemaphore(2)
_KEPT_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may take. `address_bytes` is the process's whole address space, which libraries take a good part of."""

    seconds: float = 10.0
    rows: int = 1000
    memory_bytes: int = 500_000_000
    address_bytes: int = 3_000_000_000


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """Rows as text. `numbers` tells which columns hold nothing but numbers, `more` that there are more rows."""

    columns: list[str]
    numbers: list[bool]
    rows: list[list[str]]
    more: bool


def run_limited(settings: Settings, query: str, limits: Limits | None = None) -> SqlAnswer:
    """Runs one reading statement; `QueryError` for any other, and for one that takes too much."""
    limits = limits or Limits()
    if not _AT_ONCE.acquire(blocking=False):
        raise QueryError("two queries are running", "one to be done", "try again in some seconds")
    try:
        return _run(settings, query, limits)
    finally:
        _AT_ONCE.release()


def _run(settings: Settings, query: str, limits: Limits) -> SqlAnswer:
    wish = {
        "query": query, "database": str(settings.database.absolute()), "log_file": str(settings.log_file.absolute()),
        "backend": settings.backend, "rows": limits.rows, "memory_bytes": limits.memory_bytes, "address_bytes": limits.address_bytes,
        "cpu_s": max(1, round(2 * limits.seconds)),
    }  # fmt: skip
    # -P: the folder where `serve` runs is no place for modules; and no key or token of ours is in the variables.
    command = [sys.executable, "-P", "-m", "otel_metrics.delivery.page.sql_child"]
    variables = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - our own module in our own interpreter
            command, input=json.dumps(wish), env=variables, capture_output=True, text=True, timeout=limits.seconds,
            check=False, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise QueryError(
            f"the query took longer than {limits.seconds:g} s", "less", "ask for less, or use `otel-metrics sql`"
        ) from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise QueryError(
            "the query took more memory or time than it may have", f"at most {limits.memory_bytes // 1_000_000} MB",
            "ask for less, or use `otel-metrics sql`",
        ) from None  # fmt: skip
    if "error" in answer:
        raise QueryError(answer["error"])
    return SqlAnswer(**answer)
