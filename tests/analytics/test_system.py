"""The machine, the queue, the processes and the account of records, against plain Python over the facts."""

import tempfile
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.processes import run
from support.stores import layout_in
from support.tiers import move_to_segments
from support.told import NOW, TIERS, Ran, Told, telling

from otel_metrics.analytics.answers import Answers
from otel_metrics.settings import Settings
from otel_metrics.store.tables import MetricsStorage

HOUR_MS = 3_600_000
QUIET = {"max_examples": 20, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
values = st.floats(-1e9, 1e9).map(lambda one: round(one, 3)) | st.sampled_from(["a word", "nan", 7])
readings = st.tuples(
    st.integers(0, 30 * HOUR_MS), st.sampled_from(["memory_mb", "cpu"]), values,
    st.sampled_from([None, {"host": "a"}, {"host": "b", "unit": "MB"}, {"host": "a", "state": "used"}, {"cpu": 1}]),
)  # fmt: skip
waits = st.builds(Ran, st.just("moderation_queue"), st.integers(0, 30 * HOUR_MS), st.integers(0, 3 * HOUR_MS))


@given(
    st.lists(readings, max_size=40, unique_by=lambda one: one[0]),
    st.booleans(),
    st.sampled_from(["UTC", "Asia/Kolkata"]),
)
@settings(**QUIET)
def test_every_reading_is_in_its_row(found, cold, zone):
    """Latest, mean, max and min of each metric, host, unit and set of other tags, in all and by hour, are plain Python's."""
    with tempfile.TemporaryDirectory() as folder, telling(Path(folder), [], timezone=zone) as service:
        for ago, name, value, tags in found:
            service._clock.set_time(NOW - timedelta(milliseconds=ago))
            service.record_system_metric(name, value, tags)
        service._clock.set_time(NOW)
        if cold:
            move_to_segments(service)
        document = service.answers.system(24)
        (process,) = service.sql("SELECT host FROM processes") if found else [{"host": ""}]
    rows, by_hour = defaultdict(list), defaultdict(list)
    for ago, name, value, tags in found:
        if ago < 24 * HOUR_MS and isinstance(value, int | float):
            moment, tags = NOW - timedelta(milliseconds=ago), dict(tags or {})
            host, unit = tags.pop("host", process["host"]), tags.pop("unit", None)
            key = (name, host, ", ".join(f"{tag}={text}" for tag, text in tags.items()), unit)
            local = moment.astimezone(ZoneInfo(zone))
            hour = moment - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
            rows[key].append((moment, value))
            by_hour[hour, *key].append((moment, value))
    columns = ("metric", "host", "labels", "unit")
    assert {tuple(row[name] for name in columns) for row in document["metrics"]} == set(rows)
    assert {tuple(row[name] for name in ("hour", *columns)) for row in document["metrics_by_hour"]} == set(by_hour)
    for row in document["metrics"]:
        check_reading(row, rows[tuple(row[name] for name in columns)])
    for row in document["metrics_by_hour"]:
        check_reading(row, by_hour[tuple(row[name] for name in ("hour", *columns))])


def check_reading(row: dict, found: list[tuple[datetime, float]]) -> None:
    numbers = [value for _, value in found]
    assert (row["samples"], row["max"], row["min"]) == (len(found), max(numbers), min(numbers))
    assert row["mean"] == pytest.approx(sum(numbers) / len(numbers), abs=1e-3)
    assert (row["latest_at"], row["latest"]) == max(found)


@given(
    st.lists(waits, max_size=20), st.integers(0, 3), st.sampled_from(TIERS), st.sampled_from(["UTC", "Asia/Kolkata"])
)
@settings(**QUIET)
def test_the_queue_is_as_long_as_drafts_wait(found, waiting, tier, zone):
    """At each full hour, and at its longest, the queue is what a count over the waits gives; who waits now is in it."""
    told = [Told(stages=(one,)) for one in found]
    told += [Told(5 * HOUR_MS, outcome=None, stages=(Ran("ai_processing", n * HOUR_MS, 10),)) for n in range(waiting)]
    with tempfile.TemporaryDirectory() as folder, telling(Path(folder), told, tier, timezone=zone) as service:
        document = service.answers.system(24)
    since = NOW - timedelta(hours=24)
    spans = [(one.start, one.end) for one in found if one.end > since]
    spans += [(NOW - timedelta(hours=n), datetime.max.replace(tzinfo=NOW.tzinfo)) for n in range(waiting)]

    def length(moment: datetime) -> int:
        return sum(begun <= moment < ended for begun, ended in spans)

    assert document["waiting_now"] == length(NOW)
    assert document["longest_queue"] == max((length(max(begun, since)) for begun, _ in spans), default=0)
    if document["longest_queue"]:
        assert length(document["longest_queue_at"]) == document["longest_queue"]
    for row in document["queue_by_hour"]:
        assert row["at"].astimezone(ZoneInfo(zone)).minute == 0
        assert row["waiting"] == length(row["at"]), row
    told_hours = {row["at"] for row in document["queue_by_hour"]}
    for n in range(24):
        hour = NOW.replace(minute=0) - timedelta(hours=n)
        if zone == "UTC" and length(hour) and hour >= since:
            assert hour in told_hours


def test_a_process_that_follows_another_is_a_restart(tmp_path):
    """Three bots one after another on one host are two restarts; the last one's uptime reaches to what it recorded last."""
    code = "import otel_metrics as m, time; m.record_system_metric('a', 1); time.sleep(0.05); m.record_system_metric('a', 2)"
    for _ in range(3):
        run(code, tmp_path, OTEL_SERVICE_NAME="bot")
    chosen = Settings(database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl")
    document = Answers(MetricsStorage(layout_in(tmp_path), chosen), chosen).system()
    (row,) = document["processes"]
    assert (row["service"], row["processes"], row["restarts"], document["restarts"]) == ("bot", 3, 2, 2)
    assert 50 <= row["uptime_ms"] < 60_000
    assert "2 restarts: if none was meant, look at what the process said last." in document["sentences"]


def test_workers_side_by_side_are_no_restarts_of_each_other(tmp_path):
    """A child that begins while its parent goes on recording is another worker."""
    code = """
        import os, otel_metrics as m
        m.record_system_metric("a", 1)
        service = m.get_metrics_service()
        inner, outer = os.pipe(), os.pipe()
        if os.fork() == 0:
            m.record_system_metric("a", 2)
            os.write(inner[1], b"x")
            os.read(outer[0], 1)
            m.shutdown()
            os._exit(0)
        os.read(inner[0], 1)
        m.record_system_metric("a", 3)
        os.write(outer[1], b"x")
        os.wait()
    """
    run(code, tmp_path)
    chosen = Settings(database=tmp_path / "metrics.db", log_file=tmp_path / "metrics.jsonl")
    (row,) = Answers(MetricsStorage(layout_in(tmp_path), chosen), chosen).system()["processes"]
    assert (row["processes"], row["restarts"]) == (2, 0)


def test_errors_are_failed_stages_and_lines_of_the_log(tmp_path):
    """Failed stages are a percentage from twenty on; error and critical lines are counted by what happened."""
    told = [Told(stages=tuple(Ran("a", n, 1, n > 0) for n in range(10)))] * 2
    with telling(tmp_path, told) as service:
        for _ in range(3):
            service.get_logger().error("delivery_failed", "x")
        service.get_logger().critical("no_disk", "x")
        service.get_logger().warning("slow", "x")
        document = service.answers.system()
    assert (document["stages"], document["failed"], document["failed_percent"]) == (20, 2, 10)
    assert (document["error_logs"], document["critical_logs"]) == (3, 1)
    assert [(row["level"], row["event_type"], row["count"]) for row in document["errors"]] == [
        ("error", "delivery_failed", 3), ("critical", "no_disk", 1),
    ]  # fmt: skip
    with telling(tmp_path / "few", told[:1]) as service:
        few = service.answers.system()
    assert (few["failed"], few["failed_percent"], few["enough"]) == (1, None, False)


def test_the_account_of_records_is_the_doctors(tmp_path):
    """What was emitted is stored, in the journal, dropped by reason or missing, and a missing record is told."""
    with telling(tmp_path, []) as service:
        for n in range(5):
            service.record_system_metric("a", n)
        service.flush()
        service.losses.drop("disk_full", 2)
        service.record_system_metric("a", 9)
        whole = service.answers.system()
        with service.storage.reading() as connection:
            (stored,) = connection.execute("SELECT sum(stored) FROM ledgers").fetchone()
    assert whole["stored"] == stored
    assert whole["emitted"] == whole["stored"] + whole["in_journal"] + whole["dropped"] + whole["missing"]
    assert whole["missing"] == 0


def test_one_metric_can_be_chosen(tmp_path):
    """With `metric` the readings are of that one alone."""
    with telling(tmp_path, []) as service:
        service.record_system_metric("cpu", 1)
        service.record_system_metric("memory", 2)
        document = service.answers.system(metric="cpu")
    for name in ("metrics", "metrics_by_hour"):
        assert [row["metric"] for row in document[name]] == ["cpu"]


def test_an_empty_store_has_the_same_shape(tmp_path):
    """Without anything recorded every figure is there, and nothing is wrong; without a database too."""
    with telling(tmp_path / "a", []) as service:
        empty = service.answers.system()
    with telling(tmp_path / "b", [Told(stages=(Ran("a", 0, 5),))]) as service:
        one = service.answers.system()
    nothing = Answers(None, Settings()).system()
    assert set(empty) == set(one) == set(nothing)
    assert nothing["sentences"] == ["Nothing is wrong: no restart, no failed stage, and every record is kept."]
    assert (nothing["emitted"], nothing["waiting_now"], nothing["failed_percent"]) == (0, 0, None)
