"""Owns system metrics: one measured value of the bot's surroundings, with tags."""

from collections.abc import Mapping

from otel_metrics.model.records import Json, SystemMetric
from otel_metrics.model.times import iso
from otel_metrics.model.values import clean_mapping, clean_text, text_of
from otel_metrics.recording.kit import RecordingKit

_LONGEST = 256


def record_system_metric(
    kit: RecordingKit, metric_type: str, value: float | str, tags: Mapping[str, object] | None, metadata: Json
) -> None:
    """Writes one value; numbers are kept as their shortest text that reads back to the same number."""
    name = clean_text(text_of(metric_type), _LONGEST)
    text = clean_text(text_of(value), _LONGEST)
    labels = tags if isinstance(tags, Mapping) else {} if tags is None else {"tags": tags}
    kit.ledger.append(
        SystemMetric(
            iso(kit.clock.time_ns()), "metric", "system_metric", f"{name}: {text}", name, text,
            clean_mapping(labels, _LONGEST, kit.guard.unreadable),
            clean_mapping(metadata, kit.text_limit, kit.guard.unreadable),
        )
    )  # fmt: skip
