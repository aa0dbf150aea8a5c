"""System metrics: single values with tags."""

import pytest
from support.stores import lines, only_row

from otel_metrics import MetricsService


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (3, "3"),
        (0.1, "0.1"),
        (-2.5e-7, "-2.5e-07"),
        (2**70, str(2**70)),
        ("degraded", "degraded"),
        (True, "True"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ("ä" * 300, "ä" * 256 + "… [cut, 300 characters]"),
    ],
)
def test_value_is_kept_as_its_text(service: MetricsService, value: float | str, kept: str) -> None:
    """Any number is kept as the text that reads back to it, a text up to its limit."""
    service.record_system_metric("cpu_percent", value)
    row = only_row(service, "system_metrics")
    assert (row["metric_type"], row["value"], row["timestamp"]) == ("cpu_percent", kept, "2026-01-01T12:00:00.000000Z")
    assert (row["tags"], row["metadata"]) == ({}, {})


def test_tags_and_metadata_are_kept(service: MetricsService) -> None:
    """Tags and metadata are JSON objects of their own."""
    service.record_system_metric("queue_size", 12, {"queue": "vip", "shard": 3}, region="eu", detail={"oldest_s": 40})
    row = only_row(service, "system_metrics")
    assert row["tags"] == {"queue": "vip", "shard": 3}
    assert row["metadata"] == {"region": "eu", "detail": {"oldest_s": 40}}
    assert lines(service)[-1]["event_type"] == "system_metric"


def test_tags_that_are_no_mapping_are_kept_all_the_same(service: MetricsService) -> None:
    """Tags of another shape do not cost the value."""
    service.record_system_metric("queue_size", 12, ["vip", "eu"])  # type: ignore[arg-type]
    assert only_row(service, "system_metrics")["tags"] == {"tags": ["vip", "eu"]}
