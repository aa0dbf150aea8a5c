"""How processes end: every way to end, out of every way to work, with and without a collector that does not answer."""

import asyncio
import itertools
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.nursery import Nursery, keep, reopen, tell

import otel_metrics

STATUS_OF = {
    "return": 0, "exception": 1, "sys.exit": 7, "os._exit": 8, "SIGTERM": -signal.SIGTERM, "SIGKILL": -signal.SIGKILL,
    "SIGTERM-handled": 9, "SIGINT": -signal.SIGINT,
}  # fmt: skip
"""The ways to end, and the exit status by which a parent knows each; the last four are signals from outside."""
FROM_OUTSIDE = {
    "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL, "SIGTERM-handled": signal.SIGTERM, "SIGINT": signal.SIGINT,
}  # fmt: skip
TORN_BY = ["SIGTERM", "SIGKILL"]
"""What can cut a write in two: the line was not acknowledged, and is set aside."""
WAYS = ["fork", "spawn", "threads", "asyncio"]
BEFORE_THE_END = 25
RECORDERS = 4


# --- jobs: processes that record without a pause until their end comes ------------------------------------------------


class Planned(Exception):
    """What a process ends with that is to end with an exception."""


def begin_service() -> None:
    """What a program does before it forks: it has a service, a thread in the background and records of its own."""
    logging.disable()  # what the SDK says of a collector is its own business
    keep("parent", 0)


def work_and_end(name: str, way: str, ending: str) -> None:
    """Records in one of the ways; after some records the end comes from inside, or from outside when this is told."""
    logging.disable()
    if ending in {"exception", "SIGINT"}:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - to the end of the process; the traceback is meant
    if ending == "SIGTERM-handled":
        signal.signal(signal.SIGTERM, lambda *_: record_and_exit(name))
    {"fork": plainly, "spawn": plainly, "threads": in_threads, "asyncio": in_tasks}[way](name, ending)


def record_and_exit(name: str) -> None:
    """A handler that tells of the end in the metrics, in the middle of whatever the main thread is doing."""
    keep(f"{name}.handler", 0)
    sys.exit(STATUS_OF["SIGTERM-handled"])


def plainly(name: str, ending: str) -> None:
    for number in itertools.count():
        keep(name, number)
        if number == BEFORE_THE_END:
            if ending not in FROM_OUTSIDE:
                return end(name, ending)
            tell("ready", name)
    return None


def in_threads(name: str, ending: str) -> None:
    """Two threads that the end of the process waits for, and two that it cuts off wherever they are."""
    over = threading.Event()

    def record(thread: str) -> None:
        for number in itertools.count():
            keep(thread, number)
            if number == BEFORE_THE_END:
                begun.release()
            if over.is_set():
                if thread in waited_for:
                    return
                time.sleep(0.002)  # it goes on to the very end, but leaves the others room for theirs

    begun = threading.Semaphore(0)
    names = [f"{name}.{number}" for number in range(RECORDERS)]
    waited_for = names[:2]
    for thread in names:
        threading.Thread(target=record, args=(thread,), daemon=thread not in waited_for).start()
    for _ in names:
        begun.acquire()
    if ending not in FROM_OUTSIDE:
        over.set()
        return end(name, ending)
    try:
        tell("ready", name)  # the signal may be there before this has returned
        threading.Event().wait()
    finally:
        over.set()


def in_tasks(name: str, ending: str) -> None:
    """Tasks with a stage open around what they record; the end leaves them where they are."""

    async def record(task: str) -> None:
        async with otel_metrics.timer(task, 1, 2, "query_received"):
            for number in itertools.count():
                keep(task, number)
                if number == BEFORE_THE_END:
                    begun.release()
                await asyncio.sleep(0)

    async def all_tasks() -> None:
        tasks = [asyncio.create_task(record(f"{name}.{number}")) for number in range(RECORDERS)]
        for _ in tasks:
            await begun.acquire()
        if ending not in FROM_OUTSIDE:
            return end(name, ending)
        over = asyncio.Event()
        if ending == "SIGTERM-handled":
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
        tell("ready", name)
        await over.wait()
        return record_and_exit(name)

    begun = asyncio.Semaphore(0)
    asyncio.run(all_tasks())


def end(name: str, ending: str) -> None:
    """Ends in one of the ways from inside; with `return` the caller returns."""
    tell("ending", name, time.monotonic_ns())
    if ending == "exception":
        raise Planned
    if ending == "sys.exit":
        sys.exit(STATUS_OF[ending])
    if ending == "os._exit":
        os._exit(STATUS_OF[ending])


def spawn(name: str, *arguments: str) -> None:
    """Has it done by a process that `multiprocessing` starts anew, and tells how and when that ended."""
    child = multiprocessing.get_context("spawn").Process(target=work_and_end, args=(name, *arguments))
    child.start()
    tell("pid", name, child.pid or 0)
    child.join()
    tell("ended", name, time.monotonic_ns())
    tell("status", name, child.exitcode or 0)


# --- the matrix -------------------------------------------------------------------------------------------------------


@contextmanager
def collector(kind: str) -> Iterator[dict[str, str]]:
    """The variables that lead to a port that is closed, or that takes connections and never says a word; or none."""
    if kind == "none":
        yield {}
        return
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if kind.startswith("silent"):
            listening.listen(200)
        yield {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{listening.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": kind.partition("-")[2],
        }


def end_all(nursery: Nursery, way: str) -> dict[str, tuple[int, float]]:
    """Begins a process for each ending, at once, and gives the status and the seconds that each end took."""
    pids = {
        ending: nursery.start("spawn" if way == "spawn" else "work_and_end", way, ending, name=ending)
        for ending in STATUS_OF
    }
    begun: dict[str, int] = {}
    for ending, sent in FROM_OUTSIDE.items():
        nursery.wait_for_word("ready", ending)
        pid = nursery.wait_for_word("pid", ending) if way == "spawn" else pids[ending]
        begun[ending] = time.monotonic_ns()
        os.kill(pid, sent)
    found = {}
    for ending, pid in pids.items():
        last = nursery.wait(pid)
        nursery.hear_out()
        status, at_ns = last.status, last.at_ns
        if way == "spawn":
            status, at_ns = nursery.wait_for_word("status", ending), nursery.wait_for_word("ended", ending)
        began_ns = begun[ending] if ending in begun else nursery.wait_for_word("ending", ending)
        found[ending] = (status, (at_ns - began_ns) / 1e9)
    return found


COLLECTORS = [
    "none", "closed-grpc", "silent-http/protobuf",
    pytest.param("closed-http/protobuf", marks=pytest.mark.long), pytest.param("silent-grpc", marks=pytest.mark.long),
]  # fmt: skip


@pytest.mark.parametrize("otlp", COLLECTORS)
@pytest.mark.parametrize("way", WAYS)
def test_however_a_process_ends_what_was_acknowledged_is_kept(tmp_path: Path, way: str, otlp: str) -> None:
    """Whatever a process does and whatever ends it, each record whose call had returned is in the store once, and the end takes no time."""
    setup = "begin_service" if way == "fork" else ""
    with (
        collector(otlp) as variables,
        Nursery(tmp_path, __file__, setup, METRICS_DRAIN_INTERVAL="0.01", **variables) as nursery,
    ):
        ended = end_all(nursery, way)
        nursery.hear_out()
        found = reopen(tmp_path, nursery.kept)
        longest_s, slowest = max((seconds, ending) for ending, (_, seconds) in ended.items())
        print(f"{way}, {otlp}: {nursery.total()} acknowledged, {found}; longest end {longest_s:.2f} s ({slowest})")
    # Python ends by the signal or with 1, whichever was loaded last; `multiprocessing` makes an exception of it.
    assert ended.pop("SIGINT")[0] in {STATUS_OF["SIGINT"], 1}
    assert {ending: status for ending, (status, _) in ended.items()} == {one: STATUS_OF[one] for one in ended}
    assert nursery.kept["SIGTERM-handled.handler"] == 1
    assert nursery.total() > len(STATUS_OF) * BEFORE_THE_END
    assert found.rejected <= len(TORN_BY)
    assert found.account.dropped.keys() <= {"unreadable"}
    # The promise is 2 s; this machine may be busy with other tests.
    assert longest_s < 5.0
