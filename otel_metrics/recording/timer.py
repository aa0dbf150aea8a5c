"""Owns the stage: a span that is timed around a block, or written afterwards with times that the caller gives."""

import asyncio
from types import TracebackType
from typing import Any, Self

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Span, Status, StatusCode, get_current_span, set_span_in_context

from otel_metrics.model import names, pending
from otel_metrics.model.records import Json, ProcessingMetric
from otel_metrics.model.times import TimeInput, iso, to_ns
from otel_metrics.model.values import UNREADABLE, clean_mapping, clean_text
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.recording.kit import RecordingKit, integer_ids, metadata_attributes

_ERROR = Status(StatusCode.ERROR)
_FAILED = "failed"
MARK = "otel_metrics.mark"
"""The metadata key that tells what had to be mended in a record."""


class ProcessingTimer:
    """Times one stage of a session, in `with` or `async with`.

    `metadata` may be filled while the stage runs. `fail(reason)` marks the stage failed without an exception. An
    exception inside marks it failed too and propagates unchanged. Spans opened inside become its children.
    """

    __slots__ = (
        "_context", "_failure", "_kit", "_known", "_record", "_span", "_start_ns", "_tick", "_token",
        "chat_id", "metadata", "session_id", "stage", "user_id",
    )  # fmt: skip

    def __init__(
        self, kit: RecordingKit | None, session_id: str, user_id: object, chat_id: object, stage: str, metadata: Json
    ) -> None:
        self._kit = kit
        self.session_id = session_id
        self.user_id = user_id
        self.chat_id = chat_id
        self.stage = stage
        self.metadata = metadata
        self._failure: str | None = None
        self._span: Span | None = None
        self._token: Any = None

    def fail(self, reason: object) -> None:
        """Marks the stage failed; the reason stays in the local store, what leaves is `error.type` = "failed"."""
        self._failure = _text_of(reason)

    def __enter__(self) -> Self:
        if self._kit is not None:
            try:
                self._start(self._kit)
            except Exception as error:
                self._kit.guard.caught("timer", error)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._span is not None and self._kit is not None:
            try:
                self._stop(self._kit, self._span, error)
            except Exception as fault:
                self._kit.guard.caught("timer", fault)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _start(self, kit: RecordingKit) -> None:
        record, attributes = new_stage(kit, self.session_id, self.user_id, self.chat_id, self.stage, self.metadata)
        self._record, self._known = record, record.metadata
        self._start_ns = kit.clock.time_ns()
        self._tick = kit.clock.perf_counter_ns()
        span = start_stage_span(kit, record, attributes, self._start_ns)
        self._context = set_span_in_context(span, Context({**get_current(), names.STAGE_CONTEXT: record}))
        self._token = attach(self._context)
        self._span = span
        kit.live.setdefault(record.session_id, []).append(self)

    def _stop(self, kit: RecordingKit, span: Span, error: BaseException | None) -> None:
        end_ns = self._start_ns + max(0, kit.clock.perf_counter_ns() - self._tick)
        detach(self._token)
        self._span = None
        record = self._record
        live = kit.live.get(record.session_id, [])
        if self in live:
            live.remove(self)
        if not live:
            kit.live.pop(record.session_id, None)
        self._take_late_metadata(kit, span)
        if error is not None:
            mark_failed(record, span, _type_of(error), clean_text(_text_of(error), kit.text_limit))
        elif self._failure is not None:
            mark_failed(record, span, _FAILED, clean_text(self._failure, kit.text_limit))
        end_stage_span(kit, record, span, self._context, self._start_ns, end_ns)

    def _take_late_metadata(self, kit: RecordingKit, span: Span) -> None:
        if self.metadata == self._known:
            return
        record = self._record
        late = {key: value for key, value in self.metadata.items() if key not in self._known or self._known[key] != value}
        cleaned = clean_mapping(late, kit.text_limit)
        record.metadata = {**record.metadata, **cleaned}
        attributes = metadata_attributes(cleaned)
        span.set_attributes(attributes)

    @property
    def span(self) -> Span | None:
        """The live OpenTelemetry span; None before the stage begins and after it has ended."""
        return self._span


def record_stage(
    kit: RecordingKit, session_id: str, user_id: object, chat_id: object, stage: str, *,
    start_time: TimeInput, end_time: TimeInput | None, success: bool, error_message: str | None, metadata: Json,
) -> None:  # fmt: skip
    """Writes a stage whose times are known: one that began in another process, such as a wait in a queue."""
    record, attributes = new_stage(kit, session_id, user_id, chat_id, stage, metadata)
    end_ns = _time_or(kit, end_time, kit.clock.time_ns(), record)
    start_ns = _time_or(kit, start_time, end_ns, record)
    if end_ns < start_ns:
        end_ns = start_ns
        record.metadata[MARK] = "end_before_start"
    record.end_time = iso(end_ns)
    span = start_stage_span(kit, record, attributes, start_ns)
    if not success:
        mark_failed(record, span, _FAILED, clean_text(_text_of(error_message), kit.text_limit) if error_message else None)
    elif error_message:
        record.error_message = clean_text(_text_of(error_message), kit.text_limit)
    end_stage_span(kit, record, span, set_span_in_context(span), start_ns, end_ns)
    if record.stage == ProcessingStage.MODERATION_QUEUE:
        kit.instruments.wait_duration.record((end_ns - start_ns) / 1e9)


def new_stage(
    kit: RecordingKit, session_id: str, user_id: object, chat_id: object, stage: str, metadata: Json
) -> tuple[ProcessingMetric, dict[str, Any]]:
    """The record of a stage that begins now, and its span's attributes: hashes of the ids, never the ids."""
    session_id, cleaned = kit.session_text(session_id)
    if type(user_id) is int and type(chat_id) is int and user_id.bit_length() < 63 and chat_id.bit_length() < 63:
        user, chat = user_id, chat_id
    else:
        (user, chat), originals = integer_ids(user_id=user_id, chat_id=chat_id)
        cleaned = {**cleaned, **originals}
    if metadata:
        given = clean_mapping(metadata, kit.text_limit)
        cleaned = {**cleaned, **given} if cleaned else given
    stage = str(stage)
    if not 0 < len(stage) <= 64 or not stage.isprintable():
        kit.guard.complain("stage", f"stage={stage!r} is not a short name", f"one of {', '.join(ProcessingStage)}, or 1 to 64 characters")
        cleaned["stage"] = clean_text(stage, 256)
        stage = clean_text(stage, 64).strip() or "unknown"
    attributes: dict[str, Any] = {names.SESSION_ID: session_id, names.STAGE: stage}
    if user:
        attributes[names.USER_HASH] = kit.hasher.hash("user", user)
    if chat:
        attributes[names.CHAT] = kit.hasher.hash("chat", chat)
    if cleaned:
        if "platform" in cleaned:
            attributes[names.PLATFORM] = str(cleaned["platform"])
        attributes.update(metadata_attributes(cleaned))
    record = ProcessingMetric(
        "", "", "metric", "stage_completed", "", session_id, user, chat, stage, "", "", 0, True, cleaned,
        kit.ledger.process, "", "", 0,
    )  # fmt: skip
    return record, attributes


def start_stage_span(kit: RecordingKit, record: ProcessingMetric, attributes: dict[str, Any], start_ns: int) -> Span:
    """Starts the span in the session's trace: under the current span if that is of the same trace, else under the root."""
    root = kit.root_of(record.session_id)
    context = get_current()
    parent = get_current_span(context).get_span_context()
    if parent.trace_id != root.get_span_context().trace_id:
        parent = root.get_span_context()
        context = set_span_in_context(root, context)
    record.start_time = iso(start_ns)
    record.parent_span_id = f"{parent.span_id:016x}"
    # A processor of ours finds the record here and writes the line of the stage's begin.
    context = Context({**context, names.STAGE_CONTEXT: record})
    span = kit.tracer.start_span(record.stage, context, attributes=attributes, start_time=start_ns)
    if not record.span_id and span.is_recording():
        # No processor of ours saw the start; an exporter of ours may still see the end.
        started = span.get_span_context()
        pending.tie(record, started.span_id, int(started.trace_flags), start_ns)
    return span


def end_stage_span(
    kit: RecordingKit, record: ProcessingMetric, span: Span, context: Context, start_ns: int, end_ns: int
) -> None:
    """Ends the span, which writes its line, and records its duration in the span's context, for exemplars."""
    if not span.is_recording():
        kit.guard.lost("not_recording")
    span.end(end_time=end_ns)
    measured = {names.STAGE: record.stage}
    if isinstance(record.error_type, str):
        measured[names.ERROR_TYPE] = record.error_type
    platform = record.metadata.get("platform")
    if platform is not None:
        measured[names.PLATFORM] = str(platform)
    kit.instruments.stage_duration.record((end_ns - start_ns) / 1e9, measured, context)
    retries = record.metadata.get("retry_count")
    if type(retries) is int and retries > 0:
        kit.instruments.retries.add(retries, measured, context)


def mark_failed(record: ProcessingMetric, span: Span, error_type: str, message: str | None) -> None:
    """A failure: the message stays in the record, the span gets the type alone."""
    record.success = False
    record.error_type = error_type
    record.error_message = message
    span.set_attribute(names.ERROR_TYPE, error_type)
    span.set_status(_ERROR)


def _time_or(kit: RecordingKit, value: TimeInput | None, otherwise: int, record: ProcessingMetric) -> int:
    if value is None:
        return otherwise
    try:
        return to_ns(value)
    except (ValueError, TypeError, OverflowError):
        kit.guard.complain("time", f"time {value!r} can not be read", "a datetime, epoch seconds or ISO-8601 text")
        record.metadata["unreadable_time"] = clean_text(_text_of(value), 256)
        return otherwise


def _type_of(error: BaseException) -> str:
    kind = type(error)
    if kind is asyncio.CancelledError or kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception:  # an exception's own __str__ may fail; the stage is recorded all the same
        return UNREADABLE
