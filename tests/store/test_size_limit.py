"""A store with a size limit: it stays below it, what goes first is what is safe elsewhere, and what went is written down."""

from pathlib import Path

import pytest
from support.stores import count, layout_in, rows

from otel_metrics import MetricsService
from otel_metrics.settings import load, rotate_at_bytes
from otel_metrics.store.cap import store_bytes
from otel_metrics.store.cursor import Cursor, save_cursor
from otel_metrics.testing import temporary_service

LIMIT = 1_000_000


def record(service: MetricsService, count: int) -> None:
    for number in range(count):
        service.record_system_metric("filling", number, text="x" * 400)


def test_store_stays_below_its_limit_and_keeps_the_newest_rows(tmp_path: Path) -> None:
    """While records come the store stays at its limit; logs go before rows, and of the rows the oldest go."""
    with temporary_service(tmp_path, max_bytes=LIMIT) as service:
        for _ in range(12):
            record(service, 500)
            service.flush()
            service.storage.make_room()
            assert store_bytes(layout_in(tmp_path)) <= LIMIT
        kept = [int(row["value"]) for row in rows(service, "system_metrics")]
        assert 500 < len(kept) < 6000
        assert kept[-500:] == list(range(500))
        removed = {row["what"] for row in rows(service, "removals")}
        gone = sum(row["count"] for row in rows(service, "removals", "what = 'rows of system_metrics'"))
        assert removed == {"log files that are in the tables", "rows of system_metrics"}
        assert len(kept) + gone == 6000
        account = service.storage.account()
        assert (account.missing, account.emitted) == (0, account.stored)


def test_logs_that_wait_to_be_sent_go_after_those_that_are_sent(tmp_path: Path) -> None:
    """Of logs that are in the tables those go first that are sent too; what is deleted unsent is written down in bytes."""
    layout = layout_in(tmp_path)
    with temporary_service(tmp_path, max_bytes=LIMIT, log_backups=50) as service:
        record(service, 700)
        service.flush()
        logs = layout.rotated_files()
        assert len(logs) >= 3
        positions = {row["journal_id"]: row["offset"] for row in rows(service, "journal_files", "number > 1")}
        save_cursor(layout, Cursor(positions))
        before = rows(service, "system_metrics")
        over = store_bytes(layout)
        service.storage._settings = load({"max_bytes": LIMIT})
        limit = over - logs[0].stat().st_size // 2
        object.__setattr__(service.storage._settings, "max_bytes", limit)
        service.storage.make_room()
        assert layout.rotated_files()[0] == logs[0]
        assert layout.rotated_files() != logs
        object.__setattr__(service.storage._settings, "max_bytes", layout.database.stat().st_size + 150_000)
        service.storage.make_room()
        assert logs[0] not in layout.rotated_files()
        assert [row["what"] for row in rows(service, "removals") if "not sent" in row["what"]] == ["bytes not sent on"]
        assert rows(service, "system_metrics") == before


@pytest.mark.filterwarnings("ignore:otel_metrics. drain failed")
def test_journal_that_nobody_can_read_stays_below_the_limit_too(tmp_path: Path) -> None:
    """Where the tables take nothing, the oldest log files go at the limit; their lines are counted and told as dropped."""
    layout = layout_in(tmp_path)
    layout.prepare()
    with temporary_service(tmp_path, strict=False, max_bytes=LIMIT, drain_interval_s=3600) as service:
        layout.database.mkdir()  # so that it can not be opened
        for _ in range(8):
            record(service, 500)
            service.tick()
        assert store_bytes(layout) <= LIMIT * 1.2
        dropped = service.losses.dropped()["disk_cap"]
        layout.database.rmdir()
        service.flush()
        account = service.storage.account()
        assert (account.missing, account.in_journal) == (0, 0)
        assert account.dropped == {"disk_cap": dropped}
        assert count(service, "system_metrics") + dropped >= 4000
        assert rows(service, "logs", "event_type = 'log_files_dropped'")


def test_log_is_rotated_early_enough_for_the_limit() -> None:
    """Files are at most an eighth of the limit, so that whole files can go; without a limit the log's own size counts."""
    assert rotate_at_bytes(load({"max_bytes": LIMIT})) == LIMIT // 8
    assert rotate_at_bytes(load({"max_bytes": 0})) == 100_000_000
    assert rotate_at_bytes(load({})) == 100_000_000
