"""The kit for the tests of bots."""

from pathlib import Path

import pytest
from support.stores import only_row, rows

import otel_metrics
from otel_metrics.testing import SteppedClock, temporary_service


def test_bot_can_be_tested_with_a_clock_of_its_own() -> None:
    """Inside `temporary_service` the package's functions record into a store of their own, on the clock that is given."""
    clock = SteppedClock("2026-03-01T08:00:00Z")
    with temporary_service(clock=clock) as service:
        session_id = otel_metrics.create_session(1, 2)
        with otel_metrics.timer(session_id, 1, 2, "ai_processing"):
            clock.advance(1.5)
        row = only_row(service, "processing_metrics")
        assert (row["start_time"], row["duration_ms"]) == ("2026-03-01T08:00:00.000000Z", 1500)
        folder = service.settings.database.parent
    assert not folder.exists()


def test_store_starts_empty_each_time(tmp_path: Path) -> None:
    """Two services after one another do not see each other's rows, and a given folder stays."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        with temporary_service(tmp_path / name) as service:
            service.create_session(1, 2)
            assert len(rows(service, "sessions")) == 1
        assert (tmp_path / name / "metrics.db").exists()


def test_bad_input_raises_under_test() -> None:
    """What a bot would be warned about raises here, unless `strict=False` is given."""
    with temporary_service() as service, pytest.raises(ValueError, match="outcome"):
        service.end_session("s", "gone")
    with temporary_service(strict=False) as service, pytest.warns(RuntimeWarning, match="outcome"):
        service.end_session("s", "gone")


def test_clock_can_step_by_itself() -> None:
    """With a step every reading is later than the one before, so that what is recorded has an order."""
    clock = SteppedClock(step_s=0.001)
    with temporary_service(clock=clock) as service:
        first, second = service.create_session(1, 2), service.create_session(1, 2)
    assert first[:13] < second[:13]
