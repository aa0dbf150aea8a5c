"""Rotation of a tiny log under several writers, and death of a writer at every single call that rotating makes."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from support.faults import EVERY, KILLED, Faults, Operation, faults_in, is_stopped, needs_faults
from support.nursery import Nursery, keep, reopen, tell
from support.processes import TIMEOUT_S
from support.stores import layout_in, rows

import otel_metrics

pytestmark = needs_faults

WRITERS, RECORDS = 4, 30
TINY = {"METRICS_LOG_MAX_BYTES": "4096", "METRICS_DRAIN_INTERVAL": "3600"}
A_LIFE = 6  # so many pairs of records rotate once where nobody else writes
FILES = "metrics.jsonl"  # the log, its drafts and its lock
OF_ROTATION = EVERY & ~(Operation.WRITE | Operation.SYNC)
DEADLY = (Operation.RENAME, Operation.LINK, Operation.UNLINK, Operation.OPEN, Operation.READ)


# --- in the processes ----------------------------------------------------------------------------------------------


def writer(name: str, records: int) -> None:
    """Records so many stages and values without a pause."""
    for number in range(records):
        keep(name, number)


def drainer(name: str) -> None:
    """Moves the journal into the tables again and again; no error may ever come."""
    storage, passes = otel_metrics.configure(strict=True).storage, 0
    while True:
        storage.drain(1.0)
        passes += 1
        tell("drained", name, passes)
        time.sleep(0.001)  # without a pause it would take the writers' time and find nothing


def victim(name: str, operations: int, call: int, after: int) -> None:
    """Records until it dies at one of its calls to the log's files."""
    Faults.of_this_process().kill(FILES, Operation(operations), first=call, after=bool(after), pid=os.getpid())
    writer(name, 10_000)


def short_life(name: str, folder: str, call: int, after: int) -> None:
    """Records a little into a new store and dies at the given call; where that is 0 it only counts its calls."""
    faults = Faults.of_this_process()
    use(folder)
    if call:
        faults.kill(FILES, EVERY, first=call, after=bool(after))
    else:
        faults.count(FILES, EVERY)
    writer(name, A_LIFE)
    faults.heal()
    os._exit(0)


def sleeper(name: str, folder: str, call: int) -> None:
    """Records a little into a new store, and sleeps in the midst of it, after the given call, until it is woken."""
    use(folder)
    Faults.of_this_process().stop(FILES, EVERY, first=call, pid=os.getpid())
    writer(name, A_LIFE)
    os._exit(0)


def heir(name: str, folder: str, records: int) -> None:
    """Writes on where another one has died, and goes without a word."""
    Faults.of_this_process().heal()
    use(folder)
    writer(name, records)
    otel_metrics.get_metrics_service().flush()
    os._exit(0)


def use(folder: str) -> None:
    """Records into the store of a folder from here on."""
    layout = layout_in(Path(folder))
    otel_metrics.configure(database=layout.database, log_file=layout.log_file)


# --- in the test ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.long)])
def test_rotation_under_load(tmp_path: Path, rounds: int) -> None:
    """Four processes write into one log that rotates every few lines, while another drains: all that they recorded is in the tables, once, and no line is torn."""
    with Nursery(tmp_path, __file__, **TINY, **faults_in(tmp_path).variables) as nursery:
        nursery.start("drainer")
        for _ in range(rounds):
            for pid in [nursery.start("writer", RECORDS) for _ in range(WRITERS)]:
                assert nursery.wait(pid).status == 0
        nursery.hear_out()
    found, records = reopen(tmp_path, nursery.kept), rounds * WRITERS * RECORDS
    files = rows(layout_in(tmp_path).database, "journal_files")
    print(
        f"{rounds} rounds, {len(nursery.kept)} writers, {len(files)} logs, {nursery.total()} stages and as many values acknowledged, "
        f"{found.stages} stages and {found.values} values stored, {found.rejected} rejected, "
        f"{nursery.sum_of('drained')} passes; {found.account.equation()}"
    )
    assert found.stages == found.values == nursery.total() == records
    assert (found.rejected, found.running, found.account.dropped) == (0, 0, {})
    assert len(files) > records // 10


@pytest.mark.parametrize(
    ("durability", "after"),
    [("process", False), ("process", True), ("strict", True), pytest.param("strict", False, marks=pytest.mark.long)],
)
def test_death_at_every_call(tmp_path: Path, durability: str, *, after: bool) -> None:
    """A writer that begins a log and rotates it is killed at each call that it makes for that: what was acknowledged is there once, no line is torn, and another process writes on."""
    faults, killed, pairs, stored = faults_in(tmp_path), Counter[str](), 0, 0
    with Nursery(tmp_path, __file__, METRICS_DURABILITY=durability, **TINY, **faults.variables) as nursery:
        assert nursery.wait(nursery.start("short_life", str(tmp_path / "0"), 0, 0)).status == 0
        calls = faults.calls
        for number, call in enumerate(calls, 1):
            folder = tmp_path / str(number)
            assert (
                nursery.wait(nursery.start("short_life", str(folder), number, int(after), name=f"v{number}")).status
                == KILLED
            )
            assert nursery.wait(nursery.start("heir", str(folder), 2, name=f"h{number}")).status == 0
            nursery.hear_out()
            kept = {name: nursery.kept.get(name, 0) for name in (f"v{number}", f"h{number}")}
            found = reopen(folder, kept)
            assert found.rejected == 0  # one write is one line
            assert found.account.dropped == {}
            killed[str(call.name)] += 1
            pairs, stored = pairs + sum(kept.values()), stored + found.values
    print(
        f"{durability}, {'after' if after else 'before'} the call: killed at {dict(killed)}, {pairs} pairs acknowledged, {stored} stored"
    )
    assert set(OF_ROTATION) - {Operation.TRUNCATE} <= set(calls)
    assert (Operation.SYNC in calls) == (durability == "strict")
    assert pairs <= stored <= pairs + len(calls)  # at most the one that it died in


def test_sleep_at_every_call(tmp_path: Path) -> None:
    """A writer sleeps after any call with which it begins or rotates a log, while another one rotates and drains: neither loses or drops a record."""
    faults, slept, pairs = faults_in(tmp_path), Counter[str](), 0
    with Nursery(tmp_path, __file__, **TINY, **faults.variables) as nursery:
        assert nursery.wait(nursery.start("short_life", str(tmp_path / "0"), 0, 0)).status == 0
        for number, call in enumerate(faults.calls, 1):
            if call not in OF_ROTATION:
                continue
            folder, names = tmp_path / str(number), (f"s{number}", f"h{number}")
            pid = nursery.start("sleeper", str(folder), number, name=names[0])
            wait_until_stopped(pid)
            assert nursery.wait(nursery.start("heir", str(folder), A_LIFE, name=names[1])).status == 0
            os.kill(pid, signal.SIGCONT)
            assert nursery.wait(pid).status == 0
            nursery.hear_out()
            found = reopen(folder, {name: nursery.kept[name] for name in names})
            assert (found.rejected, found.running, found.account.dropped) == (0, 0, {}), (number, call)
            assert found.stages == found.values == 2 * A_LIFE
            slept[str(call.name)] += 1
            pairs += found.values
    print(f"slept after {dict(slept)}, {pairs} pairs acknowledged and stored, none dropped")
    assert {one.name for one in DEADLY} == set(slept)


def wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not is_stopped(pid):
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("deaths", [30, pytest.param(1000, marks=pytest.mark.long)])
def test_death_in_a_rotation_among_writers(tmp_path: Path, deaths: int) -> None:
    """While three others write and rotate and one drains, writers are killed at the calls that make a rotation: nothing acknowledged is lost or there twice, and no line is torn."""
    faults, killed = faults_in(tmp_path), Counter[str]()
    with Nursery(tmp_path, __file__, **TINY, **faults.variables) as nursery:
        for job in ("writer", "writer", "writer", "drainer"):
            nursery.start(job, *([1_000_000] if job == "writer" else []))
        for number in range(deaths):
            operations, call = DEADLY[number // 2 % len(DEADLY)], 1 + number // (2 * len(DEADLY)) % 3
            assert nursery.wait(nursery.start("victim", int(operations), call, number % 2)).status == KILLED
            killed[str(faults.calls[call - 1].name)] += 1
        for pid in nursery.pids:
            nursery.kill(pid)
        nursery.hear_out()
    found = reopen(tmp_path, nursery.kept)
    files = rows(layout_in(tmp_path).database, "journal_files")
    print(
        f"killed at {dict(killed)}, {len(files)} logs, {nursery.total()} pairs acknowledged, {found.stages} stages and "
        f"{found.values} values stored, {found.rejected} rejected; {found.account.equation()}"
    )
    assert set(killed) == {one.name for one in DEADLY}
    assert (found.rejected, found.account.dropped) == (0, {})
    assert found.running <= deaths + 3


def test_draft_of_a_dead_writer(tmp_path: Path) -> None:
    """What a writer leaves that died while it made a log is cleared away by the next that makes one: a log's data goes with its name."""
    faults, folder = faults_in(tmp_path), tmp_path / "store"
    with Nursery(tmp_path, __file__, **TINY, **faults.variables) as nursery:
        assert nursery.wait(nursery.start("short_life", str(tmp_path / "counted"), 0, 0)).status == 0
        call = 1 + faults.calls.index(Operation.LINK)
        assert nursery.wait(nursery.start("short_life", str(folder), call, 1)).status == KILLED
        assert nursery.wait(nursery.start("heir", str(folder), A_LIFE)).status == 0
    names = {path.name: path.stat().st_nlink for path in folder.iterdir()}
    print(f"1 death, names of each file: {names}")
    assert set(names.values()) == {1}
