"""Processes by the dozen: forked from one that has loaded everything, told to begin, killed, and watched as they end."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from otel_metrics.settings import Settings
from otel_metrics.store.accounts import Account
from otel_metrics.store.tables import MetricsStorage
from support.processes import TIMEOUT_S, environment
from support.stores import layout_in

_BYE, _MARK = "bye", "mark"
_told: dict[int, int] = {}


# --- in the processes ----------------------------------------------------------------------------------------------


def tell(word: str, name: str, number: int = 0) -> None:
    """Tells the test something, by one write, from any descendant of the nursery. `kept` says that a record is safe."""
    descriptor = _told.get(os.getpid())
    if descriptor is None:
        descriptor = _told[os.getpid()] = os.open(os.environ["NURSERY_TOLD"], os.O_WRONLY)
    os.write(descriptor, f"{word} {name} {number}\n".encode())


def keep(name: str, number: int) -> None:
    """Records a stage and a measured value under a number, and tells when both calls have returned."""
    import otel_metrics

    with otel_metrics.timer(f"session of {name}", 1, 2, "ai_processing", by=name, number=number):
        pass
    otel_metrics.record_system_metric(name, number)
    tell("kept", name, number)


def main(jobs_file: str, setup: str) -> None:
    """Waits for orders: to begin a job in a forked child, or to wait until a child has ended."""
    for module in ("otel_metrics.service", "otel_metrics.store.drain", "otel_metrics.analytics.answers"):
        import_module(module)
    warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
    sys.path.insert(0, str(Path(jobs_file).parent))
    jobs = import_module(Path(jobs_file).stem)
    if setup:
        getattr(jobs, setup)()
    ended: dict[int, tuple[int, int]] = {}
    for line in sys.stdin:
        kind, *arguments = json.loads(line)
        if kind == "wait":
            while arguments[0] not in ended:
                pid, status = os.wait()
                ended[pid] = (os.waitstatus_to_exitcode(status), time.monotonic_ns())
            print(*ended[arguments[0]], flush=True)
        else:
            pid = begin(getattr(jobs, kind), arguments)
            if pid == 0:
                return  # the job is done, and this child ends as a program does
            print(pid, flush=True)
    os.killpg(0, signal.SIGKILL)  # the test is gone


def begin(job: Callable[..., object], arguments: list[Any]) -> int:
    """Forks a child that does the job; 0 in the child when it has done it."""
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)  # orders are answered by the nursery alone
        job(*arguments)
    return pid


# --- in the test ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """How a process ended: its exit status (that of a signal is negative), and when it was gone."""

    status: int
    at_ns: int


class Nursery:
    """The process that forks them, while a `with` lasts; at the end all are killed.

    Jobs are functions at the top of `jobs_file`; `setup` names one that the nursery itself does first. What the
    processes say on standard error fails the test.
    """

    def __init__(self, folder: Path, jobs_file: str, setup: str = "", **variables: str) -> None:
        self.kept: dict[str, int] = {}
        self._words: dict[tuple[str, str], int] = {}
        self._changed = threading.Condition()
        self._names = 0
        self._alive: dict[int, str] = {}
        self._path = folder / "told"
        os.mkfifo(self._path)
        self._told = os.open(self._path, os.O_RDWR)
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.nursery", jobs_file, setup],
            env=environment(folder, NURSERY_TOLD=str(self._path), PYTHONPATH=_path_with_tests(), **variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def start(self, job: str, *arguments: object, name: str = "") -> int:
        """Forks a child for a job, which gets a name and the arguments; gives its process id."""
        self._names += 1
        pid = int(self._order(job, name or f"{job}{self._names}", *arguments))
        self._alive[pid] = job
        return pid

    def wait(self, pid: int) -> End:
        """Waits until one has ended."""
        status, at_ns = self._order("wait", pid).split()
        self._alive.pop(pid, None)
        return End(int(status), int(at_ns))

    def kill(self, pid: int) -> str:
        """Kills one by SIGKILL, waits until it is gone, and gives its job."""
        job = self._alive[pid]
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)
        return job

    @property
    def pids(self) -> list[int]:
        """Those that have not been waited for."""
        return list(self._alive)

    def total(self) -> int:
        """How many records have been acknowledged."""
        return sum(self.kept.values())

    def wait_for(self, more: int) -> None:
        """Waits until so many more records have been acknowledged."""
        wanted = self.total() + more
        self._until(lambda: self.total() >= wanted)

    def wait_for_word(self, word: str, name: str, timeout_s: float = TIMEOUT_S) -> int:
        """Waits until one has told a word, and gives the last number with it."""
        self._until(lambda: (word, name) in self._words, timeout_s)
        return self._words[word, name]

    def wait_for_next(self, word: str) -> None:
        """Waits until anybody tells a word once more."""
        before = self.sum_of(word)
        self._until(lambda: self.sum_of(word) > before)

    def sum_of(self, word: str) -> int:
        """The sum of the last numbers that each has told with a word."""
        return sum(number for (said, _), number in self._words.items() if said == word)

    def hear_out(self) -> None:
        """Waits until everything that was told so far has been heard."""
        self._words.pop((_MARK, _MARK), None)
        os.write(self._told, f"{_MARK} {_MARK} 0\n".encode())
        self.wait_for_word(_MARK, _MARK)

    def _order(self, *words: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(TIMEOUT_S, self._kill_all)
        watchdog.start()
        try:
            self._process.stdin.write(json.dumps(words) + "\n")
            answer = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        assert answer, f"no answer to {words}: {self._complaint()}"
        return answer

    def _kill_all(self) -> None:
        """Kills the nursery, its children and theirs."""
        os.killpg(self._process.pid, signal.SIGKILL)

    def _until(self, reached: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        with self._changed:
            assert self._changed.wait_for(reached, timeout_s), f"nobody goes on: {self._complaint()}"

    def _listen(self) -> None:
        """Takes what is told, so that no process ever waits for the test."""
        unread = b""
        while True:
            *whole, unread = (unread + os.read(self._told, 65_536)).split(b"\n")
            with self._changed:
                for line in whole:
                    if line == _BYE.encode():
                        return
                    self._take(line.decode())
                self._changed.notify_all()

    def _take(self, line: str) -> None:
        word, name, text = line.split(" ")
        number = int(text)
        if word == "kept":
            assert number == self.kept.get(name, 0), line
            self.kept[name] = number + 1
        else:
            self._words[word, name] = number

    def _complaint(self) -> str:
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill_all()
        self._process.communicate()
        os.write(self._told, f"{_BYE}\n".encode())
        self._listener.join()
        os.close(self._told)
        with self._complaints:
            complaint = self._complaint()
        if error is None:
            assert not complaint, complaint


def _path_with_tests() -> str:
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(Path(__file__).parents[1])]))


@dataclass(frozen=True)
class Found:
    """What a store holds of what `keep` recorded, and the account of all of its records."""

    stages: int
    values: int
    rejected: int
    running: int
    account: Account


def reopen(folder: Path, kept: dict[str, int]) -> Found:
    """Moves what is left, and looks: the database is sound, each acknowledged record is there, and nothing is twice or missing."""
    layout = layout_in(folder)
    storage = MetricsStorage(layout, Settings(database=layout.database, log_file=layout.log_file))
    assert not storage.drain(10.0).held
    account = storage.account()
    told = account.equation()
    with closing(sqlite3.connect(layout.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        totals: list[int] = []
        # Measured values have no key of ours, so a line that was read twice would be two rows.
        for table, name, number in (
            ("processing_metrics", "metadata ->> 'by'", "metadata ->> 'number'"),
            ("system_metrics", "metric_type", "CAST(value AS INTEGER)"),
        ):
            found = connection.execute(
                f"SELECT {name}, {number}, count(*) FROM {table} WHERE {name} IS NOT NULL GROUP BY 1, 2"
            ).fetchall()
            assert [row for row in found if row[2] != 1] == [], f"twice in {table}: {told}"
            there = Counter(row[0] for row in found if row[1] < kept.get(row[0], 0))
            assert there == Counter({one: count for one, count in kept.items() if count}), f"lost in {table}: {told}"
            totals.append(len(found))
        (rejected,) = connection.execute("SELECT coalesce(sum(rejected), 0) FROM journal_files").fetchone()
        (running,) = connection.execute("SELECT count(*) FROM running").fetchone()
    assert account.missing == account.in_journal == 0, told
    assert account.emitted == account.stored + sum(account.dropped.values()), told
    stages, values = totals
    return Found(stages, values, rejected, running, account)


if __name__ == "__main__":
    main(*sys.argv[1:])
