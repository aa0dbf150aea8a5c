"""Stages whose times the caller gives: what began in another process."""

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from support.stores import lines, only_row, rows

from otel_metrics import MetricsService, ProcessingStage
from otel_metrics.testing import SteppedClock

SESSION = "65a1b2c3000000ff0123456789abcdef"
NOON_S = 1767268800
NOON = "2026-01-01T12:00:00.000000Z"


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is New York's."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_new_york")
@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 1, 1, 12, 0, tzinfo=UTC),
        datetime(2026, 1, 1, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(2026, 1, 1, 7, 0),
        NOON_S,
        float(NOON_S),
        "2026-01-01T12:00:00Z",
        "2026-01-01T13:00:00.000000+01:00",
        "2026-01-01 07:00",
        " 2026-01-01T12:00:00Z ",
    ],
    ids=str,
)
def test_each_form_of_a_time_is_the_same_moment(service: MetricsService, moment: datetime | float | str) -> None:
    """Datetime with zone, naive datetime (local time), epoch seconds and ISO text all mean the moment they say."""
    service.record_stage(SESSION, 1, 2, ProcessingStage.MODERATION_QUEUE, start_time=moment, end_time=NOON_S + 90)
    row = only_row(service, "processing_metrics")
    assert (row["start_time"], row["end_time"], row["duration_ms"]) == (NOON, "2026-01-01T12:01:30.000000Z", 90_000)


def test_without_an_end_the_stage_ends_now(service: MetricsService, clock: SteppedClock) -> None:
    """`end_time=None` is now."""
    clock.advance(7200)
    service.record_stage(SESSION, 1, 2, "moderation_queue", start_time=NOON_S)
    row = only_row(service, "processing_metrics")
    assert (row["end_time"], row["duration_ms"]) == ("2026-01-01T14:00:00.000000Z", 7_200_000)


def test_end_before_start_has_no_duration_and_is_marked(service: MetricsService) -> None:
    """A stage that ends before it starts is kept with duration 0 and says so in its metadata."""
    service.record_stage(SESSION, 1, 2, "moderation_queue", start_time=NOON_S, end_time=NOON_S - 5, queue="vip")
    row = only_row(service, "processing_metrics")
    assert (row["start_time"], row["end_time"], row["duration_ms"]) == (NOON, NOON, 0)
    assert row["metadata"] == {"queue": "vip", "otel_metrics.mark": "end_before_start"}


def test_microseconds_are_kept(service: MetricsService) -> None:
    """Times keep their microseconds; the duration in the table is rounded to milliseconds."""
    start, end = datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 1, 12, 0, 0, 1501, tzinfo=UTC)
    service.record_stage(SESSION, 1, 2, "ai_processing", start_time=start, end_time=end)
    row = only_row(service, "processing_metrics")
    assert row["start_time"] == "2026-01-01T12:00:00.000001Z"
    assert row["end_time"] == "2026-01-01T12:00:00.001501Z"
    assert row["duration_ms"] == 2


def test_failure_is_kept_with_its_message(service: MetricsService) -> None:
    """`success=False` marks the stage failed, with the message that is given."""
    service.record_stage(
        SESSION, 1, 2, "user_delivery", start_time=NOON_S, success=False, error_message="blocked by user"
    )
    row = only_row(service, "processing_metrics")
    assert (row["success"], row["error_message"], row["error_type"]) == (0, "blocked by user", "failed")
    assert lines(service)[-1]["event_type"] == "stage_failed"


def test_known_stage_never_runs(service: MetricsService) -> None:
    """A stage that is recorded afterwards writes one line and never stands in `running`."""
    service.record_stage(SESSION, 1, 2, "moderation_queue", start_time=NOON_S)
    assert [line["kind"] for line in lines(service)] == ["file", "process", "stage"]
    assert rows(service, "running") == []


@pytest.mark.parametrize(
    "moment", ["yesterday", "", math.nan, math.inf, -1.0, True, b"12", [], 10**12, datetime(9999, 1, 1, tzinfo=UTC)]
)
def test_time_that_can_not_be_used_is_kept_as_given(lenient: MetricsService, moment: object) -> None:
    """A time that can not be read, or that no trace can hold, warns and is kept in the metadata; the stage is kept too."""
    with pytest.warns(RuntimeWarning, match="expected a datetime, epoch seconds or ISO-8601 text"):
        lenient.record_stage(SESSION, 1, 2, "moderation_queue", start_time=moment)  # type: ignore[arg-type]
    row = only_row(lenient, "processing_metrics")
    assert (row["start_time"], row["duration_ms"]) == (NOON, 0)
    assert row["metadata"]["unreadable_time"] == str(moment)
    assert lenient.losses.snapshot() == {"input_time": 1}
