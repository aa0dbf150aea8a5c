"""A bot that records for long: memory, descriptors and files stay as they were."""

import json
import sys
from pathlib import Path

import pytest
from support.processes import run
from support.stores import layout_in, rows

from otel_metrics.settings import Settings
from otel_metrics.store.tables import MetricsStorage

BACKUPS = 4
BOT = """
    import json, os, resource, statistics, sys
    import otel_metrics

    stages, fifth = int(sys.argv[1]), int(sys.argv[1]) // 5

    def memory():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    service = otel_metrics.configure()
    session_id = otel_metrics.create_session(1, 2)
    fifths = []
    for number in range(stages):
        if number % fifth == 0:
            fifths.append({"memory": [], "descriptors": []})
        with otel_metrics.timer(session_id, 1, 2, "ai_processing", model="m") as stage:
            stage.metadata["tokens"] = number
        if number % (stages // 500) == 0:
            session_id = otel_metrics.create_session(1, number)
            fifths[-1]["memory"].append(memory())
            fifths[-1]["descriptors"].append(descriptors())
    otel_metrics.shutdown()
    # A drain has a batch in memory and files open for a moment; what stays is what counts.
    stays = [{"memory": statistics.median(one["memory"]), "descriptors": min(one["descriptors"])} for one in fifths]
    print(json.dumps({"fifths": stays, "most_memory": max(map(max, (one["memory"] for one in fifths)))}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory and descriptors are read from /proc")
@pytest.mark.parametrize("stages", [100_000, pytest.param(5_000_000, marks=pytest.mark.long)])
def test_long_run_takes_no_more_and_loses_nothing(tmp_path: Path, stages: int) -> None:
    """After the first fifth neither memory nor descriptors grow, at the end every stage is there, and no more logs than were asked for."""
    variables = {
        "METRICS_LOG_MAX_BYTES": "1000000", "METRICS_LOG_BACKUPS": str(BACKUPS), "METRICS_DRAIN_INTERVAL": "0.05",
    }  # fmt: skip
    told = json.loads(run(BOT, tmp_path, str(stages), str(tmp_path), timeout_s=stages / 1000, **variables))
    layout = layout_in(tmp_path)
    settings = Settings(database=layout.database, log_file=layout.log_file, log_backups=BACKUPS)
    storage = MetricsStorage(layout, settings)
    storage.drain(10.0)
    account, logs = storage.account(), len(layout.rotated_files())
    (found,) = rows(
        layout.database, "(SELECT count(*) AS stored, count(DISTINCT metric_id) AS keys FROM processing_metrics)"
    )
    print(f"{stages} stages: {found}, {account.equation()}, {told}, {logs} rotated logs")
    *_, first, last = told["fifths"]  # before that things are loaded, and caches and buffers fill
    others = [last]
    assert found == {"stored": stages, "keys": stages}
    assert (account.missing, account.dropped) == (0, {})
    assert max(one["memory"] for one in others) <= 1.05 * first["memory"]
    assert {one["descriptors"] for one in others} == {first["descriptors"]}
    assert logs <= BACKUPS
