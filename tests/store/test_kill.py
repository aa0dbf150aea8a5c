"""kill -9 of writers and drainers at any moment."""

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from support.nursery import Nursery
from support.stores import layout_in, rows

from otel_metrics.settings import Settings
from otel_metrics.store.tables import MetricsStorage


@pytest.mark.parametrize("rounds", [25, pytest.param(1000, marks=pytest.mark.long)])
def test_nothing_acknowledged_is_lost_and_nothing_is_stored_twice(tmp_path: Path, rounds: int) -> None:
    """Four writers and two drainers are killed round after round, while a small log rotates: each acknowledged record is there, once."""
    chance = random.Random(11)
    with Nursery(tmp_path, METRICS_LOG_MAX_BYTES="50000", METRICS_DRAIN_INTERVAL="0.05") as nursery:
        for kind in ["writer"] * 4 + ["drainer"] * 2:
            nursery.start(kind)
        killed: Counter[str] = Counter()
        for _ in range(rounds):
            nursery.wait_for(chance.randrange(50, 600))
            for pid in chance.sample(nursery.pids, chance.randrange(1, 5)):
                kind = nursery.kill(pid)
                killed[kind] += 1
                nursery.start(kind)
    assert min(killed["writer"], killed["drainer"]) > rounds // 4

    layout = layout_in(tmp_path)
    MetricsStorage(layout, Settings(database=layout.database, log_file=layout.log_file)).drain(10.0)
    with closing(sqlite3.connect(layout.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        stages = [row[0] for row in connection.execute("SELECT metadata ->> 'ack' FROM processing_metrics")]
        # This table has no key of ours, so a line that was read twice would be two rows.
        values = [f"{row[0]}-{row[1]}" for row in connection.execute("SELECT metric_type, value FROM system_metrics")]
    assert len(nursery.acknowledged) > rounds * 100
    assert nursery.acknowledged <= set(stages)
    assert nursery.acknowledged <= set(values)
    assert len(stages) == len(set(stages))
    assert len(values) == len(set(values))
    assert len(layout.rotated_files()) <= 10

    files = rows(layout.database, "journal_files")
    assert sum(file["rejected"] for file in files) <= killed["writer"] + 4  # at most the line that each was in
    print(f"{rounds} rounds, {dict(killed)} killed, {len(nursery.acknowledged)} acknowledged, {len(files)} logs")
