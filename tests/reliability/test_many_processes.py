"""Many processes on one store at once, however a program may have come to its processes, threads and tasks."""

import asyncio
import json
import multiprocessing
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from support.nursery import Nursery, keep, reopen, tell
from support.processes import run
from support.stores import count, layout_in

import otel_metrics

EACH = 40
"""So many records by each process, thread or task of a program."""


# --- jobs ----------------------------------------------------------------------------------------------------------


def writer(name: str, records: int) -> None:
    keep_many(name, records)
    tell("done", name)


def keep_many(name: str, records: int = EACH) -> str:
    """Records under a name; whatever process this is, it may be one that ends without a goodbye."""
    for number in range(records):
        keep(name, number)
    return name


def drainer(name: str) -> None:
    """Moves lines without a pause; SQLite that is busy would be an error here."""
    storage = otel_metrics.configure(strict=True).storage
    while True:
        storage.drain(1.0)


def reader(name: str) -> None:
    """Asks without a pause; no error may come, and no figure goes back."""
    service = otel_metrics.configure(strict=True)
    requests = answers = 0
    while True:
        found = service.get_dashboard_data()["overview"]["total_requests"]
        assert found >= requests
        requests = found
        answers += 1
        tell("answered", name, answers)


def fork_from_threads(name: str) -> None:
    """Threads that record, each of which forks children that record while the others go on."""

    def work(thread: str) -> None:
        keep_many(thread)
        for child in range(8):
            fork(f"{thread}.{child}")
        keep_many(f"{thread}.after")

    at_once([partial(work, f"{name}.{number}") for number in range(4)])


def fork(name: str, work: Callable[[str], object] = keep_many) -> None:
    """Forks a child that works and ends at once, and waits for it."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work(name)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def at_once(works: list[Callable[[], object]]) -> None:
    """Does everything in threads, and raises what one of them raised."""
    with ThreadPoolExecutor(len(works)) as pool:
        for future in [pool.submit(work) for work in works]:
            future.result()


def fork_from_asyncio(name: str) -> None:
    """Tasks that record, each of which forks a child that records in an event loop of its own."""

    async def work(task: str) -> None:
        await keep_async(task)
        fork(f"{task}.child", lambda child: asyncio.run(keep_async(child)))
        await keep_async(f"{task}.after")

    async def all_tasks() -> None:
        await asyncio.gather(*(work(f"{name}.{number}") for number in range(4)))

    asyncio.run(all_tasks())


async def keep_async(name: str) -> None:
    """Records, and lets other tasks go on inside a stage of its own."""
    async with otel_metrics.timer(name, 1, 2, "query_received"):
        for number in range(EACH):
            keep(name, number)
            await asyncio.sleep(0)


def multiprocessing_children(name: str, method: str) -> None:
    """Processes and a pool as `multiprocessing` makes them, from a program that records itself."""
    keep_many(name)
    context = multiprocessing.get_context(method)
    children = [context.Process(target=keep_many, args=(f"{name}.{number}",)) for number in range(2)]  # type: ignore[attr-defined]
    for child in children:
        child.start()
    with context.Pool(2) as pool:
        pool.map(keep_many, [f"{name}.pool{number}" for number in range(6)], chunksize=1)
    for child in children:
        child.join()
        assert child.exitcode == 0
    keep_many(f"{name}.after")


def process_pool(name: str) -> None:
    """A pool of `concurrent.futures` that is begun while threads record."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        waiting = [pool.submit(keep_many, f"{name}.{number}") for number in range(6)]
        at_once([partial(keep_many, f"{name}.thread{number}") for number in range(2)])
        for future in waiting:
            future.result()


def thread_pool(name: str) -> None:
    """A pool of threads."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep_many, [f"{name}.{number}" for number in range(16)]))


def tasks_and_threads(name: str) -> None:
    """Tasks of an event loop beside work that `asyncio.to_thread` took out of it."""

    async def everything() -> None:
        tasks = [keep_async(f"{name}.task{number}") for number in range(8)]
        await asyncio.gather(*tasks, *(asyncio.to_thread(keep_many, f"{name}.thread{number}") for number in range(8)))

    asyncio.run(everything())


# --- tests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("processes", "stages"), [(8, 1000), pytest.param(16, 10_000, marks=pytest.mark.long)], ids=["8x1000", "16x10000"]
)
def test_many_writers_with_drainers_and_readers_count_exactly(tmp_path: Path, processes: int, stages: int) -> None:
    """Processes that record as fast as they can, with others that move and read, leave exactly what they recorded, and no error anywhere."""
    with Nursery(tmp_path, __file__, METRICS_DRAIN_INTERVAL="0.05", METRICS_LOG_MAX_BYTES="500000") as nursery:
        for job in ("drainer", "drainer", "reader"):
            nursery.start(job)
        writers = [nursery.start("writer", stages) for _ in range(processes)]
        ends = [nursery.wait(pid) for pid in writers]
        nursery.wait_for_next("answered")
        found = reopen(tmp_path, nursery.kept)
        print(
            f"{processes} × {stages}: {nursery.total()} acknowledged, {found}, "
            f"{nursery.sum_of('answered')} answers read"
        )
    assert {end.status for end in ends} == {0}
    assert nursery.total() == found.stages == found.values == processes * stages
    assert (found.rejected, found.running, found.account.dropped) == (0, 0, {})


PROGRAMS: dict[str, tuple[str, int, int]] = {
    "fork-from-threads": ("fork_from_threads", 4 * 10, 0),
    "fork-from-asyncio": ("fork_from_asyncio", 4 * 3, 4 * 3),
    "fork": ("multiprocessing_children", 2 + 2 + 6, 0),
    "spawn": ("multiprocessing_children", 2 + 2 + 6, 0),
    "forkserver": ("multiprocessing_children", 2 + 2 + 6, 0),
    "process-pool": ("process_pool", 6 + 2, 0),
    "thread-pool": ("thread_pool", 16, 0),
    "tasks-and-threads": ("tasks_and_threads", 16, 8),
}
"""The job, how many names record in it, and how many stages there are around them."""


@pytest.mark.parametrize("program", PROGRAMS)
def test_however_a_program_came_to_its_workers_nothing_is_lost(tmp_path: Path, program: str) -> None:
    """Forked from a thread or a loop, spawned, of a pool or a task: each record is there once, and nobody says a word."""
    job, names, around = PROGRAMS[program]
    arguments = [program] if job == "multiprocessing_children" else []
    with Nursery(tmp_path, __file__, METRICS_DRAIN_INTERVAL="0.01") as nursery:
        end = nursery.wait(nursery.start(job, *arguments))
    found = reopen(tmp_path, nursery.kept)
    with closing(sqlite3.connect(layout_in(tmp_path).database)) as connection:
        (writers,) = connection.execute("SELECT count(DISTINCT process) FROM processing_metrics").fetchone()
    print(f"{program}: {nursery.total()} acknowledged by {writers} processes, {found}")
    assert end.status == 0
    assert nursery.total() == found.stages == found.values == names * EACH
    assert count(layout_in(tmp_path).database, "processing_metrics") == found.stages + around
    assert (found.rejected, found.running, found.account.dropped) == (0, 0, {})


def test_fork_at_any_moment_after_the_start_leaves_a_whole_program(tmp_path: Path) -> None:
    """A server that forks its workers in the first moments, while the background is still loading what it needs, gets workers that record and ask."""
    told = run(
        """
        import collections, json, os, signal, time, warnings
        warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
        import otel_metrics
        service = otel_metrics.configure()
        begun, children = time.monotonic(), []
        while time.monotonic() - begun < 0.3 and len(children) < 30:
            children.append(os.fork())
            if not children[-1]:
                signal.alarm(10)  # the end of one that waits for a thread that it does not have
                otel_metrics.record_correction("s", 1, len(children), "text_correction", "a b", "a c", 1)
                service.storage.drain(5.0)
                os._exit(len(service.losses.snapshot()))
            time.sleep(0.003)
        ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        print(json.dumps(collections.Counter(ends)))
        """,
        tmp_path,
        METRICS_DRAIN_INTERVAL="0.01",
    )
    ends = json.loads(told)
    print(f"ends of children: {ends}")
    assert set(ends) == {"0"}
    reopen(tmp_path, {})
    assert count(layout_in(tmp_path).database, "correction_metrics") == ends["0"]
