"""The account of a store: every record that was emitted is stored, in the journal or dropped, and what is not shows."""

import json
import os
from pathlib import Path

import pytest
from support.cli import real
from support.processes import run
from support.stores import layout_in, rows

import otel_metrics
from otel_metrics.settings import Settings
from otel_metrics.store.accounts import Account
from otel_metrics.store.tables import MetricsStorage
from otel_metrics.testing import temporary_service

BOT = """
    import otel_metrics
    session = otel_metrics.create_session(1, 2)
    for number in range(10):
        with otel_metrics.timer(session, 1, 2, "ai_processing"):
            pass
    import os; os._exit(0)
"""
WRITTEN = 22  # who writes, the session, ten stages with two lines each


def storage_in(folder: Path) -> MetricsStorage:
    layout = layout_in(folder)
    return MetricsStorage(layout, Settings(database=layout.database, log_file=layout.log_file))


def test_records_are_counted_where_they_are(tmp_path: Path) -> None:
    """What is emitted is in the journal first and in the tables after a pass, over all processes that ever wrote."""
    run(BOT, tmp_path)
    storage = storage_in(tmp_path)
    storage.drain()
    assert storage.account() == Account(emitted=WRITTEN, stored=WRITTEN)
    run(BOT, tmp_path)
    assert storage.account() == Account(emitted=2 * WRITTEN, stored=WRITTEN, in_journal=WRITTEN)
    storage.drain()
    assert storage.account() == Account(emitted=2 * WRITTEN, stored=2 * WRITTEN)


def test_line_that_somebody_took_away_is_missing(tmp_path: Path) -> None:
    """A line that is deleted from the log before it was read is not balanced away: the doctor says so and fails."""
    run(BOT, tmp_path)
    path = layout_in(tmp_path).log_file
    kept = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(kept[:7] + kept[8:]))
    assert storage_in(tmp_path).drain().stored == WRITTEN - 1
    assert storage_in(tmp_path).account() == Account(emitted=WRITTEN, stored=WRITTEN - 1, missing=1)
    result = real("doctor", "--format", "json", folder=tmp_path)
    (check,) = [one for one in json.loads(result.stdout) if one["name"] == "records"]
    assert (result.returncode, check["ok"], check["figures"]["missing"]) == (1, False, 1)
    assert check["found"] == "22 emitted = 21 stored + 0 in the journal + 0 dropped + 1 MISSING"


def test_damaged_line_is_dropped_as_unreadable(tmp_path: Path) -> None:
    """A line that the disk damaged is set aside, and stands in the account as dropped for that reason."""
    run(BOT, tmp_path)
    path = layout_in(tmp_path).log_file
    kept = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*kept[:7], kept[7].replace(b'"stage"', b'"st\xffge"', 1), *kept[8:]]))
    storage = storage_in(tmp_path)
    storage.drain()
    assert storage.account() == Account(emitted=WRITTEN, stored=WRITTEN - 1, dropped={"unreadable": 1})


@pytest.mark.filterwarnings("ignore:otel_metrics. .* records lost")
def test_dropped_records_are_told_as_soon_as_lines_can_be_written_again(tmp_path: Path) -> None:
    """What a full disk did not take is written down with its reason by the next line that is kept."""
    with temporary_service(tmp_path, strict=False) as service:
        session = service.create_session(1, 2)
        service.flush()
        writing, os.write = os.write, _full
        try:
            for _ in range(3):
                service.record_system_metric("m", 1)
        finally:
            os.write = writing
        service.end_session(session)
        service.flush()
        account = service.storage.account()
        assert account == Account(emitted=4 + 3, stored=4, dropped={"ENOSPC": 3})
        figures = service.record_figures()
        assert figures == (7, 4, 0, {"ENOSPC": 3})
        assert account.equation() == "7 emitted = 4 stored + 0 in the journal + 3 dropped (3 ENOSPC)"


def _full(descriptor: int, data: bytes) -> int:
    raise OSError(28, "No space left on device")


def test_forked_child_has_an_account_of_its_own(tmp_path: Path) -> None:
    """Numbers begin anew in a forked child, so that parent and child are both complete."""
    with temporary_service(tmp_path) as service:
        service.record_system_metric("m", 1)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for number in range(5):
                    service.record_system_metric("m", number)
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        service.record_system_metric("m", 1)
        service.flush()
        assert service.storage.account() == Account(emitted=9, stored=9)
        assert sorted(row["stored"] for row in rows(service, "ledgers")) == [3, 6]


def test_lines_of_before_they_were_numbered_are_read_and_not_reckoned(tmp_path: Path) -> None:
    """A log of an older version goes into the tables as ever; the account speaks of numbered lines alone."""
    run(BOT, tmp_path)
    path = layout_in(tmp_path).log_file
    old = b"".join(line.partition(b',"nth":')[0].rstrip(b"}") + b"}\n" for line in path.read_bytes().splitlines())
    path.write_bytes(old)
    storage = storage_in(tmp_path)
    assert storage.drain().stored == WRITTEN
    assert storage.account() == Account()


def test_account_as_metrics(tmp_path: Path) -> None:
    """The package's own metrics give the same equation for their process: emitted = stored + waiting + dropped."""
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    otel_metrics.configure(
        database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl", drain_interval_s=0, strict=False
    )
    service = otel_metrics.get_metrics_service()
    service.record_system_metric("m", 1)
    service.flush()
    service.record_system_metric("m", 2)
    service.losses.drop("ENOSPC", 2)
    figures = _figures(reader)
    assert figures == {
        ("hitl.records.emitted", ""): 5, ("hitl.records.stored", ""): 2, ("hitl.records.waiting", ""): 1,
        ("hitl.records.dropped", "ENOSPC"): 2,
    }  # fmt: skip
    otel_metrics.shutdown()
    assert _figures(reader) == {}


def _figures(reader: object) -> dict[tuple[str, str], int]:
    data = reader.get_metrics_data()  # type: ignore[attr-defined]
    found = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name.startswith("hitl.records"):
                    for point in metric.data.data_points:
                        found[metric.name, str(point.attributes.get("hitl.drop.reason", ""))] = point.value
    return found
