"""The time by which old rows go: a clock that has jumped is believed only after a day."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.stores import count

from otel_metrics.store.database import writing
from otel_metrics.store.retention_clock import believed_now_ns
from otel_metrics.testing import temporary_service

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
YEAR = 365 * DAY
NOW = 1_790_000_000 * 10**9
Look = Callable[[int, int], int]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Asks for the believed time at a time of the wall clock and one of the clock that nobody sets; gives hours from `NOW`."""

    def asked(wall_hours: int, elapsed_hours: int) -> int:
        with writing(tmp_path / "metrics.db") as connection:
            believed = believed_now_ns(connection, NOW + wall_hours * HOUR, elapsed_hours * HOUR)
        return (believed - NOW) // HOUR

    return asked


def test_clock_that_runs_as_it_should_is_believed(look: Look) -> None:
    """Hour by hour, and over a night in which nobody looked, the wall clock is the time."""
    assert [look(0, 5), look(1, 6), look(9, 14), look(10, 15)] == [0, 1, 9, 10]


def test_clock_that_jumps_ahead_is_believed_after_a_day(look: Look) -> None:
    """Ten years ahead, time goes on as before for a day; if the clock still says so then, it is right."""
    look(0, 5)
    jump = 10 * YEAR // HOUR
    assert [look(jump + hours, 5 + hours) for hours in (1, 8, 23)] == [1, 8, 23]
    assert look(jump + 24, 5 + 24) == jump + 24


def test_clock_that_jumps_and_comes_back_has_changed_nothing(look: Look) -> None:
    """A clock that was wrong for some hours is the time again as soon as it is right."""
    look(0, 5)
    assert look(10 * YEAR // HOUR, 6) == 1
    assert look(2, 7) == 2
    assert look(-500_000, 8) == -500_000  # a clock that is behind makes nothing old
    assert look(4, 9) == 4


def test_machine_that_was_off_for_long_is_believed_after_a_day(look: Look) -> None:
    """After sixty days of standing still the clock of the machine is doubted for a day of running, and then believed."""
    look(0, 1000)
    assert look(1440, 1) < 24
    assert look(1462, 23) < 48
    assert look(1463, 24) == 1463


def test_background_deletes_nothing_under_a_clock_that_jumped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of today are there after the hourly deletion of a process whose clock says 2038; by hand they can be deleted."""
    import time

    with temporary_service(tmp_path) as service:
        service.record_system_metric("m", 1)
        service.flush()
        service.storage._prune_by_itself()
        now_ns = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: now_ns + 12 * YEAR)
        service.storage._prune_by_itself()
        assert count(service, "system_metrics") == 1
        service.storage.prune()
        assert count(service, "system_metrics") == 0
    with closing(sqlite3.connect(tmp_path / "metrics.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
