"""The structured logger."""

import os
from pathlib import Path

import pytest
from support.stores import lines, only_row, rows

import otel_metrics
from otel_metrics import MetricsService
from otel_metrics.testing import temporary_service

LEVELS = ("debug", "info", "warning", "error", "critical", "metric")
SESSION = "65a1b2c3000000ff0123456789abcdef"


def test_line_has_its_facts_flat(service: MetricsService) -> None:
    """A log line is one flat JSON object: time, level, event type, message, and the fields as they are."""
    service.get_logger().info("user_joined", "Ada joined", session_id=SESSION, members=3, plan={"name": "pro"})
    (line,) = lines(service, "log")
    writer, number = line.pop("process"), line.pop("nth")
    assert line == {
        "kind": "log", "timestamp": "2026-01-01T12:00:00.000000Z", "level": "info", "event_type": "user_joined",
        "message": "Ada joined", "session_id": SESSION, "members": 3, "plan": {"name": "pro"},
    }  # fmt: skip
    assert (writer.startswith(f"{os.getpid()}-"), number) == (True, 2)
    row = only_row(service, "logs")
    assert (row["level"], row["event_type"], row["message"], row["session_id"]) == (
        "info", "user_joined", "Ada joined", SESSION,
    )  # fmt: skip
    assert row["fields"] == {"members": 3, "plan": {"name": "pro"}}


@pytest.mark.parametrize("least", LEVELS)
def test_lines_below_the_level_are_skipped(tmp_path: Path, least: str) -> None:
    """Of the six levels those from the setting on are written, and `metric` always."""
    with temporary_service(tmp_path, log_level=least) as service:
        for level in LEVELS:
            getattr(service.get_logger(), level)("event", "text")
        service.flush()
        assert [row["level"] for row in rows(service, "logs")] == list(LEVELS[LEVELS.index(least) :])


def test_fields_never_overwrite_reserved_keys(service: MetricsService) -> None:
    """A field with the name of a reserved key is kept under another name."""
    service.get_logger().error("e", "m", level="debug", timestamp="never", kind="stage")
    (line,) = lines(service, "log")
    assert (line["level"], line["timestamp"], line["kind"]) == ("error", "2026-01-01T12:00:00.000000Z", "log")
    assert only_row(service, "logs")["fields"] == {
        "field_level": "debug", "field_timestamp": "never", "field_kind": "stage",
    }  # fmt: skip


def test_line_inside_a_stage_gets_its_session(service: MetricsService) -> None:
    """Inside a stage a line carries the stage's session, unless it names one itself; None names none."""
    logger = service.get_logger()
    with service.timer(SESSION, 1, 2, "ai_processing"):
        logger.info("inside", "")
        logger.info("other", "", session_id="another")
        logger.info("none", "", session_id=None)
    logger.info("outside", "", session_id=None)
    assert {row["event_type"]: row["session_id"] for row in rows(service, "logs")} == {
        "inside": SESSION, "other": "another", "none": SESSION, "outside": None,
    }  # fmt: skip


def test_logger_of_the_process_writes_to_its_service(service: MetricsService) -> None:
    """`get_logger()` of the package writes where the process's service writes."""
    otel_metrics.get_logger().warning("w", "careful")
    assert only_row(service, "logs")["message"] == "careful"


def test_message_that_can_not_be_text_does_not_cost_the_line(service: MetricsService) -> None:
    """A message whose `str` raises is kept as a placeholder."""

    class Mute:
        def __str__(self) -> str:
            raise RuntimeError

    service.get_logger().info("e", Mute(), who=Mute())  # type: ignore[arg-type]
    (line,) = lines(service, "log")
    assert (line["message"], line["who"]) == ("<unreadable>", "<unreadable>")
