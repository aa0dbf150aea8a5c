"""Owns what a journal line becomes in the tables: its shape is checked by decoding it, its JSON parts go in as they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, get_type_hints

import msgspec

from otel_metrics.model.records import (
    CorrectionMetric,
    Forgotten,
    Json,
    OtherSpan,
    ProcessBegin,
    ProcessingMetric,
    SessionBegin,
    SessionEnd,
    SpanEnded,
    StageBegin,
    SystemMetric,
    Tally,
)

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A table, the columns that a line fills (`seq` comes behind them) and what happens to a row that is there already."""

    table: str
    columns: tuple[str, ...]
    on_conflict: str = ""
    has_seq: bool = True

    @lru_cache(maxsize=64)  # noqa: B019 - targets are a handful of constants
    def statement(self, count: int) -> str:
        """The INSERT of `count` rows at once, each with its number of the store's cursor behind its values.

        One statement asks for Python's global lock once; `executemany` would give it up at every row.
        """
        names = [*self.columns, "seq"] if self.has_seq else self.columns
        marks = ", ".join("CAST(? AS TEXT)" if name in _JSON else "?" for name in names)
        rows = ", ".join([f"({marks})"] * count)
        return f"INSERT INTO {self.table} ({', '.join(names)}) VALUES {rows} {self.on_conflict}"


_JSON = frozenset({"metadata", "tags", "attributes", "events", "links", "root", "fields", "resource", "dropped"})

STAGES = Target(
    "processing_metrics",
    (
        "metric_id", "session_id", "user_id", "chat_id", "stage", "start_time", "end_time", "duration_ms", "success",
        "error_message", "metadata", "error_type", "span_id", "parent_span_id", "process", "attributes", "events", "flags",
        "links",
    ),
    "ON CONFLICT (metric_id) DO NOTHING",
)  # fmt: skip
CORRECTIONS = Target(
    "correction_metrics",
    (
        "correction_id", "session_id", "admin_user_id", "message_id", "correction_type", "original_length",
        "corrected_length", "processing_time_ms", "voice_transcription_time_ms", "ai_correction_time_ms", "timestamp",
        "admin_satisfaction", "retry_count", "metadata", "word_edit_rate", "similarity", "original_text",
        "corrected_text", "process", "original_hash", "corrected_hash",
    ),
    "ON CONFLICT (correction_id) DO NOTHING",
)  # fmt: skip
SYSTEM = Target("system_metrics", ("timestamp", "metric_type", "value", "tags", "metadata", "process"))
SPANS = Target(
    "spans",
    (
        "record_id", "session_id", "name", "span_kind", "start_time", "end_time", "duration_ms", "success",
        "error_type", "span_id", "parent_span_id", "scope", "process", "attributes", "events", "flags", "links",
        "trace_id", "parent_is_remote", "scope_version", "trace_state",
    ),
    "ON CONFLICT (record_id) DO NOTHING",
)  # fmt: skip
ROOTS = Target("spans", (*SPANS.columns, "root"), SPANS.on_conflict)
SESSIONS_BEGUN = Target(
    "sessions",
    ("session_id", "user_id", "chat_id", "started_at", "metadata"),
    "ON CONFLICT (session_id) DO UPDATE SET user_id = excluded.user_id, chat_id = excluded.chat_id, "
    "started_at = excluded.started_at, metadata = excluded.metadata, seq = excluded.seq",
)
SESSIONS_SEEN = Target(
    "sessions", ("session_id", "user_id", "chat_id", "started_at"), "ON CONFLICT (session_id) DO NOTHING"
)
SESSIONS_ENDED = Target(
    "sessions",
    ("session_id", "user_id", "chat_id", "started_at", "metadata", "ended_at", "outcome"),
    "ON CONFLICT (session_id) DO UPDATE SET ended_at = excluded.ended_at, outcome = excluded.outcome, "
    "seq = excluded.seq WHERE sessions.ended_at IS NULL",
)
LOGS = Target("logs", ("timestamp", "level", "event_type", "message", "session_id", "fields"))
RUNNING = Target(
    "running",
    ("metric_id", "session_id", "user_id", "chat_id", "stage", "start_time", "span_id", "process"),
    "ON CONFLICT (metric_id) DO NOTHING",
    has_seq=False,
)
PROCESSES = Target(
    "processes", ("process", "started_at", "pid", "host", "resource", "forwards"), "ON CONFLICT (process) DO NOTHING",
    has_seq=False,
)  # fmt: skip
LEDGERS = Target(
    "ledgers",
    ("process", "first", "last", "stored"),
    "ON CONFLICT (process) DO UPDATE SET last = max(last, excluded.last), stored = stored + excluded.stored",
    has_seq=False,
)
TALLIES = Target(
    "ledgers", ("process", "dropped"), "ON CONFLICT (process) DO UPDATE SET dropped = excluded.dropped", has_seq=False
)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """How one kind of line becomes a row of its target, if it has one; `also` is a second row that it makes."""

    target: Target | None
    row_of: Callable[[bytes], Row]
    also: "Line | None" = None


def _line(record: type[msgspec.Struct], target: Target, also: Line | None = None, **named: str) -> Line:
    """A reader that decodes just the columns of the target, checked against the record's shape.

    JSON columns stay the bytes that they are, and what is absent is None. `named` gives the record's name of a column
    where it has another one.
    """
    hints = {**get_type_hints(record), "process": str}
    required = {"process", *(info.name for info in msgspec.structs.fields(record) if info.required)}
    fields: list[Any] = []
    for column in target.columns:
        name = named.get(column, column)
        kind = msgspec.Raw if name in _JSON else hints[name]
        fields.append((column, kind) if name in required else (column, kind if name in _JSON else kind | None, None))
    config = record.__struct_config__
    shape = msgspec.defstruct(
        record.__name__,
        fields,
        tag_field=config.tag_field,
        tag=config.tag,
        rename=named or None,
        kw_only=True,
        gc=False,
    )
    decode, as_row = msgspec.json.Decoder(shape).decode, msgspec.structs.astuple
    return Line(target, lambda line: as_row(decode(line)), also)


def _log_reader() -> Callable[[bytes], Row]:
    """The logger's lines have fields of their own: those that are no columns stay together as one JSON object."""
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    shape = msgspec.defstruct(
        "LogLine",
        [("timestamp", str), ("level", str), ("event_type", str), ("message", str), ("session_id", str | None, None)],
    )

    def read(line: bytes) -> Row:
        fields: Json = decode(line)
        known = msgspec.convert(fields, shape)
        if "nth" in fields:
            fields.pop("process", None)
        for name in ("kind", "timestamp", "level", "event_type", "message", "session_id", "nth"):
            fields.pop(name, None)
        return (*msgspec.structs.astuple(known), msgspec.json.encode(fields))

    return read


class _RootFacts(msgspec.Struct):
    """What the end of a session tells beside its span."""

    user_id: int = 0
    chat_id: int = 0
    outcome: str = "delivered"
    metadata: msgspec.Raw = msgspec.Raw(b"{}")


def _root_line() -> Line:
    """A root span's row holds what its end told: another process may have known more of the session, or less."""
    span, facts = _line(SessionEnd, SPANS).row_of, msgspec.json.Decoder(_RootFacts).decode
    return Line(ROOTS, lambda line: (*span(line), msgspec.json.encode(facts(line))))


LINES: dict[bytes, Line] = {
    b"process": _line(ProcessBegin, PROCESSES, started_at="timestamp"),
    b"session": _line(SessionBegin, SESSIONS_BEGUN, started_at="timestamp"),
    b"begin": _line(StageBegin, RUNNING, start_time="timestamp"),
    b"stage": _line(ProcessingMetric, STAGES),
    b"correction": _line(CorrectionMetric, CORRECTIONS),
    b"system": _line(SystemMetric, SYSTEM),
    b"span": _line(SpanEnded, SPANS),
    b"end": _line(SessionEnd, SESSIONS_ENDED, _root_line(), started_at="start_time", ended_at="end_time"),
    b"log": Line(LOGS, _log_reader()),
    b"tally": _line(Tally, TALLIES),
    b"other": Line(None, _line(OtherSpan, SPANS).row_of),
    b"forgotten": Line(None, _line(Forgotten, Target("", ("timestamp", "process"))).row_of),
}
"""Every kind of line but the file's own header, which says nothing that belongs into a table."""

SESSION_OF_STAGE = itemgetter(
    *(STAGES.columns.index(name) for name in ("session_id", "user_id", "chat_id", "start_time"))
)
"""From a row of STAGES to one of SESSIONS_SEEN: a stage may come from a session that nobody created here."""

PROCESS_OF_STAGE = STAGES.columns.index("process")

ORDER = (
    LEDGERS,
    TALLIES,
    PROCESSES,
    SESSIONS_BEGUN,
    SESSIONS_SEEN,
    STAGES,
    CORRECTIONS,
    SYSTEM,
    SPANS,
    ROOTS,
    SESSIONS_ENDED,
    LOGS,
    RUNNING,
)
"""The targets in the order in which a batch fills them: a session's own line counts before what its stages tell of it."""


def in_blocks(rows: list[Row], size: int) -> Iterator[list[Row]]:
    """The rows in blocks that one statement takes."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
