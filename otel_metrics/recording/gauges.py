"""Owns system metrics: one measured value of the bot's surroundings, with tags."""

import math
from collections.abc import Mapping

from otel_metrics.model.records import Json, SystemMetric
from otel_metrics.model.times import iso
from otel_metrics.model.values import clean_mapping, clean_text
from otel_metrics.recording.kit import RecordingKit

_LONGEST = 256


def record_system_metric(
    kit: RecordingKit, metric_type: str, value: float | str, tags: Mapping[str, object] | None, metadata: Json
) -> None:
    """Writes one value; numbers are kept as their shortest text that reads back to the same number."""
    name = clean_text(str(metric_type), _LONGEST)
    text = (
        _number_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else clean_text(str(value), _LONGEST)
    )
    kit.ledger.append(
        SystemMetric(
            iso(kit.clock.time_ns()), "metric", "system_metric", f"{name}: {text}", name, text,
            clean_mapping(tags or {}, _LONGEST), clean_mapping(metadata, kit.text_limit), kit.ledger.process,
        )
    )  # fmt: skip


def _number_text(value: float) -> str:
    return repr(value) if isinstance(value, int) or math.isfinite(value) else str(value)
