"""Owns the stage: a span that is timed around a block, or written afterwards with times that the caller gives."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import INVALID_SPAN, Span, set_span_in_context

from otel_metrics.model import names
from otel_metrics.model.records import Json, ProcessingMetric
from otel_metrics.model.times import TIME_FORMS, TimeInput, iso, to_ns
from otel_metrics.model.values import clean_mapping, clean_text, text_of
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.recording.current import session_of
from otel_metrics.recording.kit import RecordingKit, integer_ids

_FAILED = "failed"
MARK = "otel_metrics.mark"
"""The metadata key that tells what had to be mended in a record."""


class ProcessingTimer:
    """Times one stage of a session, in `with` or `async with`.

    `metadata` may be filled while the stage runs. `fail(reason)` marks the stage failed without an exception. An
    exception inside marks it failed too and propagates unchanged. Spans opened inside become its children.
    """

    __slots__ = (
        "_context", "_error_type", "_failure", "_kit", "_known", "_left_ns", "_record", "_since_ns", "_span", "_start_ns",
        "_text", "_tick", "_token", "chat_id", "metadata", "session_id", "stage", "user_id",
    )  # fmt: skip

    def __init__(
        self, kit: RecordingKit | None, session_id: str, user_id: object, chat_id: object, stage: str, metadata: Json,
        since_ns: int | None = None,
    ) -> None:  # fmt: skip
        self._kit = kit
        self.session_id = session_id
        self.user_id = user_id
        self.chat_id = chat_id
        self.stage = stage
        self.metadata = metadata
        self._failure: str | None = None
        self._error_type = _FAILED
        self._text: str | None = None
        self._span: Span | None = None
        self._token: Any = None
        self._since_ns = since_ns
        self._left_ns: int | None = None

    def fail(self, reason: object, error_type: str = _FAILED) -> None:
        """Marks the stage failed; the reason stays in the local store, what leaves is `error.type`."""
        self._failure, self._error_type = text_of(reason), error_type

    def text(self, text: object) -> None:
        """Tells the text that this stage made or passed on, the last one where it is told several.

        Of it the record's metadata gets `text_hash`, a keyed hash by which two texts can be compared, and `length` in
        characters; the text itself, as `text`, only where content capture is on. None is no text.
        """
        self._text = None if text is None else text_of(text)

    def __enter__(self) -> Self:
        if self._kit is not None:
            try:
                self._start(self._kit)
            except Exception as error:
                self._kit.guard.caught("timer", error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is not None and self._kit is not None:
            try:
                self._stop(self._kit, self._span, error)
            except Exception as fault:
                self._kit.guard.caught("timer", fault)
        elif self._token is not None:  # disowned
            detach(self._token)

    def leave(self) -> None:
        """Ends the stage's time now, so that stages that follow stand beside it; its record is written when it is closed."""
        if self._span is not None and self._kit is not None and self._left_ns is None:
            self._left_ns = self._now_ns(self._kit)
            self._detach_own()

    def close(self) -> None:
        """Ends the stage before its `with` does, which then does nothing more."""
        if self._span is not None:
            self._detach_own()
            token, self._token = self._token, None
            self.__exit__(None, None, None)
            self._token = token

    @property
    def elapsed_ns(self) -> int:
        """How long ago the stage began; 0 where nothing is recorded."""
        return 0 if self._span is None or self._kit is None else self._now_ns(self._kit) - self._start_ns

    def _now_ns(self, kit: RecordingKit) -> int:
        return self._start_ns + max(0, kit.clock.perf_counter_ns() - self._tick)

    def _detach_own(self) -> None:
        """Leaves the stage's context where it is the current one; inside another one it is left with the `with`.

        A task that was started inside has a copy of it, which can not be left for the one that opened the stage.
        """
        if self._token is not None and get_current() is self._context:
            with suppress(ValueError):  # `detach` would log it
                self._token.var.reset(self._token)
                self._token = None

    def disown(self) -> None:
        """In a forked child: the stage stays the parent's, whose end counts; the child's end of it writes nothing."""
        self._span = None

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def _start(self, kit: RecordingKit) -> None:
        record = new_stage(kit, self.session_id, self.user_id, self.chat_id, self.stage, self.metadata)
        self._record, self._known = record, record.metadata
        self._start_ns = now_ns = kit.clock.time_ns()
        self._tick = kit.clock.perf_counter_ns()
        if self._since_ns is not None and self._since_ns < now_ns:
            self._start_ns = self._since_ns
            self._tick -= now_ns - self._since_ns
        if (handling := session_of(get_current())) is not None and handling.session_id == record.session_id:
            handling.stage_began(self._start_ns)
        span, context = start_stage(kit, record, self._start_ns)
        self._context = Context({**context, SPAN_KEY: span, names.STAGE_CONTEXT: record})
        self._token = attach(self._context)
        self._span = span
        kit.live.setdefault(record.session_id, []).append(self)

    def _stop(self, kit: RecordingKit, span: Span, error: BaseException | None) -> None:
        end_ns = self._now_ns(kit) if self._left_ns is None else self._left_ns
        if self._token is not None:
            detach(self._token)
        self._span = self._token = None
        record = self._record
        kit.no_longer_live(record.session_id, self)
        try:
            changed = self.metadata != self._known
        except Exception:  # values such as arrays give no plain answer
            changed = True
        if changed and isinstance(self.metadata, Mapping):
            late = clean_mapping(dict(self.metadata), kit.text_limit, kit.guard.unreadable)
            record.metadata = {**record.metadata, **late}
        if self._text is not None:
            record.metadata = {**record.metadata, **_told(kit, self._text)}
        if error is not None:
            mark_failed(record, type_of(error), clean_text(text_of(error), kit.text_limit))
            if (handling := session_of(self._context)) is not None and handling.session_id == record.session_id:
                handling.stage_failed(error)
        elif self._failure is not None:
            mark_failed(record, self._error_type, clean_text(self._failure, kit.text_limit))
        if kit.usage:
            bring_usage(kit, record, span)
        kit.stages.end(record, span, end_ns)
        measure(kit, record, self._context, end_ns - self._start_ns)

    @property
    def span(self) -> Span | None:
        """The live OpenTelemetry span; None before the stage begins and after it has ended."""
        return self._span


def _told(kit: RecordingKit, text: str) -> Json:
    """What is recorded of a stage's text."""
    told: Json = {"text_hash": kit.hasher.text(text), "length": len(text)}
    if kit.capture_content:
        told["text"] = clean_text(text, kit.text_limit)
    return told


def record_stage(
    kit: RecordingKit, session_id: str, user_id: object, chat_id: object, stage: str, *,
    start_time: TimeInput, end_time: TimeInput | None, success: bool, error_message: str | None, metadata: Json,
    span_id: int = 0,
) -> None:  # fmt: skip
    """Writes a stage whose times are known: one that began in another process, such as a wait in a queue."""
    record = new_stage(kit, session_id, user_id, chat_id, stage, metadata, kit.guard.unreadable)
    end_ns = _time_or(kit, end_time, kit.clock.time_ns(), record)
    start_ns = _time_or(kit, start_time, end_ns, record)
    if end_ns < start_ns:
        end_ns = start_ns
        record.metadata[MARK] = "end_before_start"
    record.end_time = iso(end_ns)
    message = None if error_message is None else clean_text(text_of(error_message), kit.text_limit)
    span, context = start_stage(kit, record, start_ns, span_id)
    if not _truth(kit, success):
        mark_failed(record, _FAILED, message)
    elif message is not None:
        record.error_message = message
    kit.stages.end(record, span, end_ns)
    measure(kit, record, set_span_in_context(span, context), end_ns - start_ns)


def new_stage(
    kit: RecordingKit, session_id: str, user_id: object, chat_id: object, stage: str, metadata: Json,
    missed: Callable[[], object] | None = None,
) -> ProcessingMetric:  # fmt: skip
    """The record of a stage that begins now; `missed` is called for every value that can not be read."""
    session_id, notes = kit.session_text(session_id)
    if type(user_id) is int and type(chat_id) is int and user_id.bit_length() < 63 and chat_id.bit_length() < 63:
        user, chat = user_id, chat_id
    else:
        (user, chat), originals = integer_ids(user_id=user_id, chat_id=chat_id)
        notes = {**notes, **originals}
    cleaned = clean_mapping(metadata, kit.text_limit, missed)
    if notes:
        cleaned = {**notes, **cleaned}
    if type(stage) is not ProcessingStage:
        stage = _checked_stage(kit, stage, cleaned)
    return ProcessingMetric(
        "", "", "metric", "stage_completed", "", session_id, user, chat, stage, "", "", 0, True, cleaned,
        "", "", 0,
    )  # fmt: skip


def _checked_stage(kit: RecordingKit, stage: object, notes: Json) -> str:
    text = text_of(stage)
    if 0 < len(text) <= 64 and text.isprintable():
        return text
    kit.guard.complain(
        "stage", f"stage={text!r} is not a short name", f"one of {', '.join(ProcessingStage)}, or 1 to 64 characters"
    )
    notes["stage"] = clean_text(text, 256)
    return clean_text(text, 64).strip() or "unknown"


def start_stage(kit: RecordingKit, record: ProcessingMetric, start_ns: int, span_id: int = 0) -> tuple[Span, Context]:
    """Starts the span in the session's trace: under the current span if that is of the same trace, else under the root.

    Gives the span and the context that holds its parent.
    """
    root = kit.root_of(record.session_id)
    context = get_current()
    current = context.get(SPAN_KEY)
    parent = current.get_span_context() if isinstance(current, Span) else root.context
    if parent.trace_id != root.trace_id:
        parent = root.context
        context = Context({**context, SPAN_KEY: root})
    elif current is None:
        context = Context({**context, SPAN_KEY: root})
    record.start_time = iso(start_ns)
    record.parent_span_id = f"{parent.span_id:016x}"
    return kit.stages.start(record, parent, context, start_ns, span_id), context


SPAN_KEY = next(iter(set_span_in_context(INVALID_SPAN, Context())))
"""The key under which the API keeps the current span: with it, span and record go into a context by one copy."""


def bring_usage(kit: RecordingKit, record: ProcessingMetric, span: Span) -> None:
    """Puts the sums of the stage's model calls on its span; calls that end later are not in them."""
    usage = kit.usage.pop(record.span_id, None)
    if usage is not None:
        span.set_attributes(usage.attributes(record.metadata))


def measure(kit: RecordingKit, record: ProcessingMetric, context: Context, duration_ns: int) -> None:
    """Records a stage's duration, in its span's context for exemplars; a wait in the queue and retries besides."""
    seconds = duration_ns / 1e9
    measured = {names.STAGE: record.stage}
    if isinstance(record.error_type, str):
        measured[names.ERROR_TYPE] = record.error_type
    metadata = record.metadata
    if "platform" in metadata:
        measured[names.PLATFORM] = str(metadata["platform"])
    kit.instruments.measure(kit.instruments.stage_duration.record, seconds, measured, context)
    if record.stage == ProcessingStage.MODERATION_QUEUE:
        kit.instruments.measure(kit.instruments.wait_duration.record, seconds, {}, context)
    retries = metadata.get("retry_count")
    if type(retries) is int and retries > 0:
        kit.instruments.measure(kit.instruments.retries.add, retries, measured, context)


def mark_failed(record: ProcessingMetric, error_type: str, message: str | None) -> None:
    """A failure: the message stays in the record; of an error only its type becomes an attribute."""
    record.success = False
    record.error_type = error_type
    record.error_message = message


def _truth(kit: RecordingKit, value: object) -> bool:
    """Whether a stage succeeded. What gives no plain answer, such as an array, counts as a success."""
    try:
        return bool(value)
    except Exception:  # its own method may do anything
        kit.guard.unreadable()
        return True


def _time_or(kit: RecordingKit, value: TimeInput | None, otherwise: int, record: ProcessingMetric) -> int:
    if value is None:
        return otherwise
    with suppress(Exception):  # its own methods may do anything
        time_ns = to_ns(value)
        if 0 <= time_ns <= _LAST_NS:
            return time_ns
    kit.guard.complain("time", f"time {text_of(value, repr)} can not be used", f"{TIME_FORMS}, from 1970 to 2262")
    record.metadata["unreadable_time"] = clean_text(text_of(value), 256)
    return otherwise


_LAST_NS = (1 << 63) - 1  # OTLP and Parquet hold nanoseconds in 64 bits; beyond, a whole batch would not be sent


def type_of(error: BaseException) -> str:
    """The name of an error's class, with its module unless that is Python's own."""
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
