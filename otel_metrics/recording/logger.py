"""Owns the structured logger: one JSON object a line, with reserved keys that no field can overwrite."""

from opentelemetry.context import get_current

from otel_metrics.model import names
from otel_metrics.model.records import Json, ProcessingMetric
from otel_metrics.model.times import iso
from otel_metrics.model.values import clean_mapping, clean_text, text_of
from otel_metrics.recording.kit import RecordingKit

_RANK = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50, "metric": 100}
RESERVED = ("kind", "timestamp", "level", "event_type", "message", "process", "nth")


class StructuredLogger:
    """Writes log lines beside the records. Each method takes `(event_type, message, **fields)`.

    Lines below the level of the settings are skipped; `metric` lines always come through. Inside a stage the line gets
    the stage's `session_id` unless one is given. A field with a reserved name is kept as `field_<name>`.
    """

    def __init__(self, kit: RecordingKit | None, level: str) -> None:
        self._kit = kit
        self._least = _RANK[level]

    def debug(self, event_type: str, message: str = "", **fields: object) -> None:
        """Writes a line of level debug."""
        self._write("debug", event_type, message, fields)

    def info(self, event_type: str, message: str = "", **fields: object) -> None:
        """Writes a line of level info."""
        self._write("info", event_type, message, fields)

    def warning(self, event_type: str, message: str = "", **fields: object) -> None:
        """Writes a line of level warning."""
        self._write("warning", event_type, message, fields)

    def error(self, event_type: str, message: str = "", **fields: object) -> None:
        """Writes a line of level error."""
        self._write("error", event_type, message, fields)

    def critical(self, event_type: str, message: str = "", **fields: object) -> None:
        """Writes a line of level critical."""
        self._write("critical", event_type, message, fields)

    def metric(self, event_type: str, message: str = "", **fields: object) -> None:
        """Writes a line of level metric, whatever the level of the settings."""
        self._write("metric", event_type, message, fields)

    def _write(self, level: str, event_type: str, message: str, fields: dict[str, object]) -> None:
        kit = self._kit
        if kit is None or _RANK[level] < self._least:
            return
        try:
            kit.ledger.append(_line(kit, level, event_type, message, fields))
        except Exception as error:
            kit.guard.caught("logger", error)


def _line(kit: RecordingKit, level: str, event_type: str, message: str, fields: dict[str, object]) -> Json:
    line: Json = {
        "kind": "log",
        "timestamp": iso(kit.clock.time_ns()),
        "level": level,
        "event_type": clean_text(text_of(event_type), 256),
        "message": clean_text(text_of(message), kit.text_limit),
    }
    stage = get_current().get(names.STAGE_CONTEXT)
    if isinstance(stage, ProcessingMetric):
        line["session_id"] = stage.session_id
    for key, value in clean_mapping(fields, kit.text_limit, kit.guard.unreadable).items():
        if key != "session_id":
            line[f"field_{key}" if key in RESERVED else key] = value
        elif value is not None:  # of no session: as if it had not been given
            line[key] = str(value)
    return line
