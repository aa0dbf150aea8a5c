"""Owns which columns of the store's tables the engine reads, and the DuckDB type that each has there."""

from dataclasses import dataclass

TEXT, INTEGER, REAL, FLAG, TIME = "VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the engine reads it. `key` names what replaces an older row of the same key; None: rows never change."""

    name: str
    columns: dict[str, str]
    time: str
    key: str | None = None
    whole: bool = False
    """Read whole at every refresh: a small table without a cursor."""
    figures: tuple[str, ...] = ()
    """The columns that the dashboard's figures are made of: a first question reads these alone, in a third of the time."""


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "processing_metrics",
            {
                "metric_id": TEXT, "session_id": TEXT, "user_id": INTEGER, "chat_id": INTEGER, "stage": TEXT,
                "start_time": TIME, "end_time": TIME, "duration_ms": INTEGER, "success": FLAG, "error_message": TEXT,
                "metadata": TEXT, "error_type": TEXT, "span_id": TEXT, "parent_span_id": TEXT, "process": TEXT,
                "attributes": TEXT, "events": TEXT, "flags": INTEGER,
            },
            "end_time",
            figures=("session_id", "stage", "start_time", "end_time", "success"),
        ),
        Table(
            "correction_metrics",
            {
                "correction_id": TEXT, "session_id": TEXT, "admin_user_id": INTEGER, "message_id": TEXT,
                "correction_type": TEXT, "original_length": INTEGER, "corrected_length": INTEGER,
                "processing_time_ms": INTEGER, "voice_transcription_time_ms": INTEGER, "ai_correction_time_ms": INTEGER,
                "timestamp": TIME, "admin_satisfaction": INTEGER, "retry_count": INTEGER, "metadata": TEXT,
                "word_edit_rate": REAL, "similarity": REAL, "original_text": TEXT, "corrected_text": TEXT,
                "process": TEXT,
            },
            "timestamp",
            figures=(
                "session_id", "admin_user_id", "correction_type", "processing_time_ms", "timestamp", "admin_satisfaction",
                "word_edit_rate", "similarity",
            ),
        ),
        Table(
            "system_metrics",
            {
                "id": INTEGER, "timestamp": TIME, "metric_type": TEXT, "value": TEXT, "tags": TEXT, "metadata": TEXT,
                "process": TEXT,
            },
            "timestamp",
        ),
        Table(
            "sessions",
            {
                "session_id": TEXT, "user_id": INTEGER, "chat_id": INTEGER, "started_at": TIME, "ended_at": TIME,
                "outcome": TEXT, "metadata": TEXT,
            },
            "started_at",
            key="session_id",
        ),
        Table(
            "spans",
            {
                "record_id": TEXT, "session_id": TEXT, "name": TEXT, "span_kind": TEXT, "start_time": TIME,
                "end_time": TIME, "duration_ms": INTEGER, "success": FLAG, "error_type": TEXT, "span_id": TEXT,
                "parent_span_id": TEXT, "scope": TEXT, "process": TEXT, "attributes": TEXT, "events": TEXT,
                "flags": INTEGER,
            },
            "end_time",
        ),
        Table(
            "logs",
            {
                "id": INTEGER, "timestamp": TIME, "level": TEXT, "event_type": TEXT, "message": TEXT,
                "session_id": TEXT, "fields": TEXT,
            },
            "timestamp",
        ),
        Table(
            "running",
            {
                "metric_id": TEXT, "session_id": TEXT, "user_id": INTEGER, "chat_id": INTEGER, "stage": TEXT,
                "start_time": TIME, "span_id": TEXT, "process": TEXT,
            },
            "start_time",
            whole=True,
        ),
        Table(
            "processes",
            {"process": TEXT, "started_at": TIME, "pid": INTEGER, "host": TEXT, "resource": TEXT, "forwards": INTEGER},
            "started_at",
            whole=True,
        ),
    )
}  # fmt: skip
