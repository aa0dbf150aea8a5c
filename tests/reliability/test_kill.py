"""kill -9 of writers, drainers and readers at any moment, and of all of them at once."""

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from support.faults import EVERY, Faults, faults_in, needs_faults
from support.nursery import Found, Nursery, keep, reopen, tell
from support.stores import layout_in

import otel_metrics
from otel_metrics.settings import Settings
from otel_metrics.store.journal_files import read_header
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

LINES_A_PASS = 1
JOBS = ["writer"] * 4 + ["drainer"] * 2 + ["dashboard_reader", "desk_reader"]


def writer(name: str) -> None:
    """Records without a pause, with the background drain of its service beside it."""
    os.nice(10)  # the readers have the longer way
    number = 0
    while True:
        keep(name, number)
        number += 1


def drainer(name: str) -> None:
    """Moves the journal into the tables without a pause; no error may ever come."""
    storage = otel_metrics.configure(strict=True).storage
    passes = 0
    while True:
        storage.drain(1.0)
        passes += 1
        tell("drained", name, passes)


def doomed_drainer(name: str, call: int) -> None:
    """Records a little, and dies at the given call to the database's files while it moves that; at 0 it lives."""
    for number in range(LINES_A_PASS):
        keep(name, number)
    if call:
        Faults.of_this_process().kill("metrics.db", EVERY, first=call, after=False, pid=os.getpid())
    otel_metrics.get_metrics_service().storage.drain(5.0)
    Faults.of_this_process().heal()
    tell("drained", name, 1)


def dashboard_reader(name: str) -> None:
    """Asks for the dashboard without a pause, as a bot can: no error may come, and no figure goes back."""
    service = otel_metrics.configure(strict=True)
    requests = answers = 0
    while True:
        overview = service.get_dashboard_data()["overview"]
        assert overview["total_requests"] >= requests, (overview, requests)
        requests = overview["total_requests"]
        answers += 1
        tell("answered", name, answers)


def desk_reader(name: str) -> None:
    """Asks as a desk that moves nothing, everything that there is to ask."""
    from otel_metrics.analytics.answers import Answers

    service = otel_metrics.configure(strict=True)
    answers, stages, number = Answers(service.storage, service.settings), 0, 0
    while True:
        answers.refresh()
        answers.sessions(24, 10)
        answers.queue()
        (row,) = answers.sql(
            "SELECT count(*) AS stages, count(DISTINCT metric_id) AS keys FROM processing_metrics"
        ).as_dicts()
        assert row["stages"] == row["keys"] >= stages, (row, stages)
        stages = row["stages"]
        number += 1
        tell("answered", name, number)


class Crowd:
    """Those that are killed and replaced, and the store that is opened again when all are dead."""

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self.killed: Counter[str] = Counter()
        self.longest_s = 0.0
        self.most_bytes = 0
        self._nursery = nursery
        self._folder = folder
        self._chance = random.Random(11)

    def begin(self) -> None:
        for job in JOBS:
            self._nursery.start(job)

    def work(self) -> None:
        self._nursery.wait_for(self._chance.randrange(50, 600))

    def replace_some(self) -> None:
        for pid in self._chance.sample(self._nursery.pids, self._chance.randrange(1, 5)):
            job = self._nursery.kill(pid)
            self.killed[job] += 1
            self._nursery.start(job)

    def kill_all(self) -> Found:
        """Kills everybody in any order, opens the store again and looks what is there."""
        for pid in self._chance.sample(self._nursery.pids, len(JOBS)):
            self.killed[self._nursery.kill(pid)] += 1
        self._nursery.hear_out()
        layout = layout_in(self._folder)
        self.most_bytes = max(self.most_bytes, waiting_bytes(layout))
        begun = time.monotonic()
        storage = MetricsStorage(layout, Settings(database=layout.database, log_file=layout.log_file))
        storage.drain(10.0)
        self.longest_s = max(self.longest_s, time.monotonic() - begun)
        storage.prune()  # who died between the end of a log and this left one too many
        assert len(layout.rotated_files()) <= Settings().log_backups
        return reopen(self._folder, self._nursery.kept)


def waiting_bytes(layout: StoreLayout) -> int:
    """How much of the journal is not in the tables yet."""
    with closing(sqlite3.connect(layout.database)) as connection:
        offsets = dict(connection.execute("SELECT journal_id, offset FROM journal_files").fetchall())
    files = [(path, read_header(path)) for path in layout.journal_files()]
    return sum(path.stat().st_size - offsets.get(header.journal_id, 0) for path, header in files if header)


@pytest.mark.parametrize(
    ("rounds", "check_every"), [(25, 5), pytest.param(1000, 25, marks=pytest.mark.long)], ids=["25", "1000"]
)
def test_nothing_acknowledged_is_lost_and_nothing_is_stored_twice(
    tmp_path: Path, rounds: int, check_every: int
) -> None:
    """Writers, drainers and readers are killed round after round, while a small log rotates: no acknowledged record is lost or there twice, no reader sees an error, and the store opens again at once."""
    with Nursery(tmp_path, __file__, METRICS_LOG_MAX_BYTES="50000", METRICS_DRAIN_INTERVAL="0.05") as nursery:
        crowd = Crowd(nursery, tmp_path)
        for number in range(1, rounds + 1):
            if number % check_every == 1:
                crowd.begin()
            crowd.work()
            if number % check_every:
                crowd.replace_some()
            else:
                nursery.wait_for_next("answered")
                found = crowd.kill_all()
        print(
            f"{rounds} rounds, killed {dict(crowd.killed)}, {nursery.total()} acknowledged, {found}, "
            f"{nursery.sum_of('answered')} answers read; "
            f"longest reopening {crowd.longest_s:.3f} s, most {crowd.most_bytes} bytes"
        )
        # The promise is 1 s for what was waiting; this machine may be busy with other tests, so five times that.
        assert crowd.longest_s < 5.0
        assert min(crowd.killed[job] for job in JOBS) >= rounds // check_every
        assert nursery.total() > rounds * 50
        assert found.running <= crowd.killed["writer"]  # at most the stage that each was in
        assert found.rejected <= crowd.killed["writer"]  # and its line
        assert found.account.dropped == {}


@needs_faults
def test_drain_that_dies_at_any_call_stores_every_line_once(tmp_path: Path) -> None:
    """A process is killed in the middle of a pass, at the first thing that it asks of the database's files, then at the second, and so on: rows and offset never come apart."""
    with Nursery(tmp_path, __file__, **faults_in(tmp_path).variables) as nursery:
        deaths = 0
        assert nursery.wait(nursery.start("doomed_drainer", 0)).status == 0  # the file is known from then on
        while nursery.wait(nursery.start("doomed_drainer", deaths + 1)).status == -signal.SIGKILL:
            deaths += 1
        nursery.hear_out()
        found = reopen(tmp_path, nursery.kept)
        print(f"{deaths} deaths in a pass, {nursery.total()} acknowledged, {found}")
    assert nursery.sum_of("drained") == 2
    assert deaths > 20
    assert found.stages == found.values == nursery.total() == (deaths + 2) * LINES_A_PASS
    assert (found.rejected, found.account.dropped) == (0, {})
