"""What goes when it is old, and what stays."""

from pathlib import Path

from support.stores import layout_in, rows

from otel_metrics import MetricsService
from otel_metrics.model.times import to_ns
from otel_metrics.store.journal import Journal
from otel_metrics.testing import SteppedClock, temporary_service

DAY_S = 86_400


def record_a_day(service: MetricsService) -> str:
    """One of everything; gives the session."""
    session_id = service.create_session(1, 2)
    with service.timer(session_id, 1, 2, "ai_processing"):
        pass
    service.record_correction(session_id, 7, "m", "rejection", "a", "b", 1)
    service.record_system_metric("cpu", 1)
    service.get_logger().info("e", "m")
    service.end_session(session_id)
    return session_id


def test_rows_beyond_the_retention_time_go(tmp_path: Path) -> None:
    """Of rows of every kind those that are older than the retention time are deleted, the others stay."""
    clock = SteppedClock("2026-01-01T12:00:00Z")
    with temporary_service(tmp_path, clock=clock, retention_days=30) as service:
        old = record_a_day(service)
        clock.advance(20 * DAY_S)
        young = record_a_day(service)
        service.flush()
        pruned = service.storage.prune(to_ns("2026-01-31T12:00:00Z"))
        assert pruned.rows == {}
        pruned = service.storage.prune(to_ns("2026-02-05T12:00:00Z"))
        assert pruned.rows == {
            "processing_metrics": 1, "correction_metrics": 1, "system_metrics": 1, "spans": 2, "logs": 1, "sessions": 1,
        }  # fmt: skip
        for table in ("processing_metrics", "correction_metrics", "spans", "sessions"):
            found = {row["session_id"] for row in rows(service, table)}
            assert found == {young}
            assert old not in found


def test_session_with_young_rows_stays(tmp_path: Path) -> None:
    """A session that began long ago stays as long as a stage of it does."""
    clock = SteppedClock("2026-01-01T12:00:00Z")
    with temporary_service(tmp_path, clock=clock, retention_days=7) as service:
        session_id = service.create_session(1, 2)
        clock.advance(10 * DAY_S)
        service.record_stage(session_id, 1, 2, "admin_review", start_time=clock.time_ns() / 1e9)
        service.flush()
        assert service.storage.prune(clock.time_ns() + DAY_S * 10**9).rows == {}
        assert len(rows(service, "sessions")) == 1


def test_zero_days_keep_everything(tmp_path: Path) -> None:
    """`retention_days=0` deletes no row, however old."""
    with temporary_service(tmp_path, clock=SteppedClock("1971-01-01T00:00:00Z"), retention_days=0) as service:
        record_a_day(service)
        service.flush()
        assert service.storage.prune().rows == {}


def test_rotated_logs_go_when_they_are_read_and_too_many(tmp_path: Path) -> None:
    """As soon as rotated logs are in the tables the newest of them are kept, in the number that is set, and no older one."""
    with temporary_service(tmp_path, log_max_bytes=4096, log_backups=3) as service:
        for number in range(200):
            service.record_system_metric("m", number)
        layout = layout_in(tmp_path)
        before = [path.name for path in layout.rotated_files()]
        assert len(before) > 6
        service.flush()
        kept = [path.name for path in layout.rotated_files()]
        assert kept == before[-3:]
        assert [int(row["value"]) for row in rows(service, "system_metrics")] == list(range(200))


def test_rotated_log_that_is_not_read_to_its_end_stays(tmp_path: Path) -> None:
    """A log in which another process may still write is kept beyond the number."""
    with temporary_service(tmp_path, log_max_bytes=4096, log_backups=1) as service:
        writer = Journal(layout_in(tmp_path), max_bytes=10**6)
        writer.append(b'{"kind":"log","timestamp":"t","level":"info","event_type":"e","message":"first"}\n')
        for number in range(100):
            service.record_system_metric("m", number)
        service.flush()
        assert layout_in(tmp_path).rotated_files()[0].name == "metrics.jsonl.000001"
        writer.append(b'{"kind":"log","timestamp":"t","level":"info","event_type":"e","message":"second"}\n')
        writer.close()
        service.flush()
        assert len(layout_in(tmp_path).rotated_files()) == 1
        assert [row["message"] for row in rows(service, "logs")] == ["first", "second"]
