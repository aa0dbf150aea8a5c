"""Owns which columns of the store's tables the engine reads, the DuckDB type that each has there, and what is drawn out of metadata."""

from dataclasses import dataclass, field

TEXT, INTEGER, REAL, FLAG, TIME = "VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMP"


@dataclass(frozen=True, slots=True)
class Fact:
    """A column that is drawn out of a JSON column: the first of `keys` that has a value there, such as `metadata.model`."""

    kind: str
    keys: tuple[str, ...]
    kept: bool = True
    """Whether segments have it as a column; what is random in every row is drawn out when it is asked for instead."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the engine reads it. `key` names what replaces an older row of the same key; None: rows never change."""

    name: str
    columns: dict[str, str]
    time: str
    key: str | None = None
    whole: bool = False
    """Read whole at every refresh: a small table without a cursor."""
    facts: dict[str, Fact] = field(default_factory=dict)
    """Further columns, which follow the others."""
    packs: str | None = None
    """The column that in segments is left out where it is the start in microseconds and the span's id."""

    @property
    def all_columns(self) -> dict[str, str]:
        """Names and types of the table's columns and of those drawn out of it."""
        return self.columns | {name: fact.kind for name, fact in self.facts.items()}


_MODEL = Fact(
    TEXT,
    (
        "metadata.model",
        "attributes.gen_ai.response.model",
        "attributes.gen_ai.request.model",
        "attributes.hitl.usage.response_model",
        "attributes.hitl.usage.request_model",
    ),
)
_PROVIDER = Fact(
    TEXT,
    (
        "metadata.provider",
        "attributes.gen_ai.provider.name",
        "attributes.gen_ai.system",
        "attributes.hitl.usage.provider",
    ),
)
_PROMPT = Fact(TEXT, ("metadata.prompt_version", "metadata.prompt"))
_INTENT = Fact(TEXT, ("metadata.intent",))
_PLATFORM = Fact(TEXT, ("metadata.platform",))
_USAGE = {
    "input_tokens": Fact(
        INTEGER, ("metadata.input_tokens", "attributes.gen_ai.usage.input_tokens", "attributes.hitl.usage.input_tokens")
    ),
    "output_tokens": Fact(
        INTEGER,
        ("metadata.output_tokens", "attributes.gen_ai.usage.output_tokens", "attributes.hitl.usage.output_tokens"),
    ),
    "total_tokens": Fact(INTEGER, ("metadata.tokens_used", "metadata.tokens", "metadata.total_tokens")),
    "cost": Fact(REAL, ("metadata.cost", "attributes.hitl.usage.cost.amount")),
    "currency": Fact(TEXT, ("metadata.currency", "attributes.hitl.usage.cost.currency")),
}
_LENGTHS = {
    "input_length": Fact(INTEGER, ("metadata.message_length", "metadata.input_length", "metadata.question_length")),
    "output_length": Fact(INTEGER, ("metadata.length", "metadata.output_length", "metadata.answer_length")),
}

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "processing_metrics",
            {
                "metric_id": TEXT, "session_id": TEXT, "user_id": INTEGER, "chat_id": INTEGER, "stage": TEXT,
                "start_time": TIME, "end_time": TIME, "duration_ms": INTEGER, "success": FLAG, "error_message": TEXT,
                "metadata": TEXT, "error_type": TEXT, "span_id": TEXT, "parent_span_id": TEXT, "process": TEXT,
                "attributes": TEXT, "events": TEXT, "flags": INTEGER, "links": TEXT,
            },
            "end_time",
            facts={
                "model": _MODEL, "provider": _PROVIDER, "prompt_version": _PROMPT, "intent": _INTENT, "platform": _PLATFORM,
                **_USAGE, **_LENGTHS, "moderator_id": Fact(INTEGER, ("metadata.admin_user_id", "metadata.moderator_id")),
                "decision": Fact(TEXT, ("metadata.decision",)), "text_hash": Fact(TEXT, ("metadata.text_hash",), kept=False),
                "speech_seconds": Fact(REAL, ("metadata.speech_seconds", "metadata.voice_seconds", "metadata.audio_seconds")),
            },
            packs="metric_id",
        ),
        Table(
            "correction_metrics",
            {
                "correction_id": TEXT, "session_id": TEXT, "admin_user_id": INTEGER, "message_id": TEXT,
                "correction_type": TEXT, "original_length": INTEGER, "corrected_length": INTEGER,
                "processing_time_ms": INTEGER, "voice_transcription_time_ms": INTEGER, "ai_correction_time_ms": INTEGER,
                "timestamp": TIME, "admin_satisfaction": INTEGER, "retry_count": INTEGER, "metadata": TEXT,
                "word_edit_rate": REAL, "similarity": REAL, "original_text": TEXT, "corrected_text": TEXT,
                "process": TEXT, "original_hash": TEXT, "corrected_hash": TEXT,
            },
            "timestamp",
            facts={
                "model": Fact(TEXT, ("metadata.model",)), "prompt_version": _PROMPT, "intent": _INTENT,
                "reason": Fact(TEXT, ("metadata.rejection_reason", "metadata.reason")),
                "transcription_quality": Fact(TEXT, ("metadata.transcription_quality",)),
            },
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
            facts={
                "platform": _PLATFORM, "intent": _INTENT, "language": Fact(TEXT, ("metadata.language",)),
                "prompt_version": _PROMPT,
            },
        ),
        Table(
            "spans",
            {
                "record_id": TEXT, "session_id": TEXT, "name": TEXT, "span_kind": TEXT, "start_time": TIME,
                "end_time": TIME, "duration_ms": INTEGER, "success": FLAG, "error_type": TEXT, "span_id": TEXT,
                "parent_span_id": TEXT, "scope": TEXT, "process": TEXT, "attributes": TEXT, "events": TEXT,
                "flags": INTEGER, "links": TEXT, "trace_id": TEXT, "parent_is_remote": FLAG, "scope_version": TEXT,
                "trace_state": TEXT, "root": TEXT,
            },
            "end_time",
            facts={
                name: Fact(fact.kind, tuple(key for key in fact.keys if key.startswith("attributes.")))
                for name, fact in {"model": _MODEL, "provider": _PROVIDER, **_USAGE}.items()
                if any(key.startswith("attributes.") for key in fact.keys)
            },
            packs="record_id",
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
