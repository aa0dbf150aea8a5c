"""Owns the facts of the package: one frozen shape for every kind of journal line, and the bytes it is written as.

A line is one JSON object. Its first field, `kind`, says which of the shapes it is; the next one is the record's key
where it has one, so that a reader can tell both without parsing the line. The journal puts `process` and `nth` behind
the fields of every line but the file's header: who wrote it, and its number among that writer's lines.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from otel_metrics.model.values import clean_mapping

Level = Literal["debug", "info", "warning", "error", "critical", "metric"]
Json = dict[str, Any]


# gc=False: records hold JSON, which can not refer to itself, and many are made at a time.
class ProcessingMetric(Struct, tag_field="kind", tag="stage", gc=False):
    """A stage that has ended: one row of `processing_metrics`. Durations are milliseconds, times ISO-8601 UTC text."""

    metric_id: str
    timestamp: str
    level: Level
    event_type: str
    message: str
    session_id: str
    user_id: int
    chat_id: int
    stage: str
    start_time: str
    end_time: str
    duration_ms: int
    success: bool
    metadata: Json
    span_id: str
    parent_span_id: str
    flags: int
    error_message: str | UnsetType | None = UNSET
    error_type: str | UnsetType = UNSET
    attributes: Json | UnsetType = UNSET
    events: list[Json] | UnsetType = UNSET
    links: list[Json] | UnsetType = UNSET


class StageBegin(Struct, tag_field="kind", tag="begin"):
    """A stage that has begun: one row of `running` until the line of its end is read."""

    metric_id: str
    timestamp: str
    level: Level
    event_type: str
    message: str
    session_id: str
    user_id: int
    chat_id: int
    stage: str
    span_id: str


class CorrectionMetric(Struct, tag_field="kind", tag="correction"):
    """What a moderator did to a draft: one row of `correction_metrics`. Lengths are characters, times milliseconds."""

    correction_id: str
    timestamp: str
    level: Level
    event_type: str
    message: str
    session_id: str
    admin_user_id: int
    message_id: str
    correction_type: str
    original_length: int
    corrected_length: int
    processing_time_ms: int | None
    word_edit_rate: float
    similarity: float
    metadata: Json
    voice_transcription_time_ms: int | UnsetType | None = UNSET
    ai_correction_time_ms: int | UnsetType | None = UNSET
    admin_satisfaction: int | UnsetType | None = UNSET
    retry_count: int = 0
    original_text: str | UnsetType = UNSET
    corrected_text: str | UnsetType = UNSET
    original_hash: str | UnsetType = UNSET
    corrected_hash: str | UnsetType = UNSET


class SystemMetric(Struct, tag_field="kind", tag="system"):
    """One measured value of the surroundings: one row of `system_metrics`."""

    timestamp: str
    level: Level
    event_type: str
    message: str
    metric_type: str
    value: str
    tags: Json
    metadata: Json


class SessionBegin(Struct, tag_field="kind", tag="session"):
    """A session that was created: one row of `sessions`, still open."""

    session_id: str
    timestamp: str
    level: Level
    event_type: str
    message: str
    user_id: int
    chat_id: int
    metadata: Json


class SpanEnded(Struct, tag_field="kind", tag="span", gc=False):
    """Any other span of a session (a model call, an HTTP call): one row of `spans`."""

    record_id: str
    timestamp: str
    level: Level
    event_type: str
    message: str
    session_id: str
    name: str
    span_kind: str
    start_time: str
    end_time: str
    duration_ms: int
    success: bool
    scope: str
    span_id: str
    parent_span_id: str
    flags: int
    error_type: str | UnsetType = UNSET
    attributes: Json | UnsetType = UNSET
    events: list[Json] | UnsetType = UNSET
    trace_id: str | UnsetType = UNSET
    """Where it is not the one that follows from the session id."""
    parent_is_remote: bool | UnsetType = UNSET
    scope_version: str | UnsetType = UNSET
    trace_state: str | UnsetType = UNSET
    links: list[Json] | UnsetType = UNSET


class OtherSpan(SpanEnded, tag_field="kind", tag="other", gc=False):
    """A span of no session: no row; it stands in the journal where it is to be sent on."""


class SessionEnd(SpanEnded, tag_field="kind", tag="end", gc=False):
    """A session's end, and with it its root span. Of several for one session the first in the journal counts."""

    user_id: int = 0
    chat_id: int = 0
    outcome: str = "delivered"
    metadata: Json = {}


class ProcessBegin(Struct, tag_field="kind", tag="process"):
    """A process that began to write: who it is, the OpenTelemetry resource of its spans, and whether they are to be sent on."""

    timestamp: str
    level: Level
    event_type: str
    message: str
    pid: int
    host: str
    resource: Json
    forwards: bool = False


class Tally(Struct, tag_field="kind", tag="tally"):
    """How many records a process could not keep so far, by reason; written as soon as lines can be written again."""

    timestamp: str
    level: Level
    event_type: str
    message: str
    dropped: dict[str, int]


class Forgotten(Struct, tag_field="kind", tag="forgotten"):
    """What stands in the place of a line whose person was forgotten: that there was one, and when it went."""

    timestamp: str
    level: Level
    event_type: str
    message: str


class FileBegin(Struct, tag_field="kind", tag="file"):
    """The first line of every journal file: its identity, which survives renaming."""

    journal_id: str
    timestamp: str
    level: Level
    event_type: str
    message: str
    number: int
    boot: str = ""


Record = (
    ProcessingMetric
    | StageBegin
    | CorrectionMetric
    | SystemMetric
    | SessionBegin
    | SpanEnded
    | OtherSpan
    | SessionEnd
    | ProcessBegin
    | Tally
    | Forgotten
    | FileBegin
)
"""Every typed line. The structured logger's lines (`"kind":"log"`) are free in their fields and have no shape of their own."""

_encode = msgspec.json.Encoder().encode
decode_record = msgspec.json.Decoder(Record).decode
_NO_LIMIT = 1 << 62


def encode_line(record: Record | Json) -> bytes:
    """The record as one line of UTF-8 JSON, newline included.

    Values are expected clean (`model.values`); text that can not be UTF-8 is mended here all the same, since a
    session id or a name may come from anywhere.
    """
    try:
        line = _encode(record)
        if b"\\u0000" not in line:
            return line + b"\n"
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError):
        pass
    plain = (
        record if isinstance(record, dict) else {"kind": record.__struct_config__.tag, **msgspec.structs.asdict(record)}
    )
    kept = {key: value for key, value in plain.items() if value is not UNSET}
    return _encode(clean_mapping(kept, _NO_LIMIT)) + b"\n"
