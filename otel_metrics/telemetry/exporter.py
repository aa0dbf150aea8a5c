"""Owns the SDK's way into the store: spans become journal lines before `end()` returns."""

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, StatusCode

from otel_metrics.model import names, pending
from otel_metrics.model.attributes import without_texts
from otel_metrics.model.identity import record_id, session_start_ns, trace_id_of
from otel_metrics.model.losses import Losses
from otel_metrics.model.records import Json, OtherSpan, ProcessingMetric, SessionEnd, SpanEnded, StageBegin
from otel_metrics.model.times import iso
from otel_metrics.model.values import clean_mapping, clean_text
from otel_metrics.settings import Settings, load, rotate_at_bytes
from otel_metrics.store.journal import Journal
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.ledger import JournalLedger
from otel_metrics.telemetry.calls import CallObserver, tell_end, watch
from otel_metrics.telemetry.readable import links_as_json

_WRITTEN_TO = "_otel_metrics_written_to"  # the name under which a span carries the store that has it


class StoreSpanExporter(SpanExporter):
    """Appends every ended span of a session to the journal: one line, by one write.

    Made without arguments (as `OTEL_TRACES_EXPORTER=otel_metrics` does) it writes where the environment says. Behind
    the SDK's batching a span is safe when its batch is exported; behind `StoreSpanProcessor`, when `end()` returns.
    Spans of no session are kept only on their way to a collector.
    """

    def __init__(self, *, ledger: JournalLedger | None = None, settings: Settings | None = None) -> None:
        settings = settings or load()
        self._limit = settings.text_limit
        self._keeps_texts = settings.capture_content
        self._own = ledger is None
        self.ledger = ledger or _ledger_of(settings)
        self.calls: CallObserver | None = None

    def follow(self, other: "StoreSpanExporter") -> None:
        """Writes into the other one's store from now on: a process that has a service has one store."""
        self.shutdown()
        self.ledger, self._own = other.ledger, False

    def mark_written(self, span: ReadableSpan) -> bool:
        """Notes on the span that it is in this store; False if it was. Several ways may lead a span here."""
        log_file = self.ledger.log_file
        if getattr(span, _WRITTEN_TO, None) == log_file:
            return False
        setattr(span, _WRITTEN_TO, log_file)
        return True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Writes the spans; what the disk does not take is counted, and reported as a failure."""
        kept = [self.write(span) for span in spans]
        return SpanExportResult.SUCCESS if all(kept) else SpanExportResult.FAILURE

    def write(self, span: ReadableSpan) -> bool:
        """Writes one span; True if it was kept or is none of ours."""
        context = span.get_span_context()
        if context is None or not self.mark_written(span):
            return True
        record = pending.pop(context.span_id)
        if isinstance(record, ProcessingMetric):
            extra = _extra_attributes(span.attributes or {})
            return self.write_stage(
                record,
                span.start_time or 0,
                span.end_time or 0,
                span.status.status_code,
                extra,
                span.events,
                span.links,
            )
        if isinstance(record, SessionEnd):
            return self.write_root(record, int(context.trace_flags), span.end_time or 0)
        attributes = span.attributes or {}
        session_id = attributes.get(names.SESSION_ID) or _session_of_trace(context.trace_id)
        if session_id:
            ended = self._foreign_record(SpanEnded, span, context, clean_text(str(session_id), 256))
        elif self.ledger.forwards and context.trace_flags.sampled:
            ended = self._foreign_record(OtherSpan, span, context, "")
        else:
            return True
        return self.ledger.append(ended)

    def write_stage(
        self, record: ProcessingMetric, start_ns: int, end_ns: int, status: StatusCode,
        extra: Mapping[str, Any] | None, events: Sequence[Event] | None, links: Sequence[Link] | None,
    ) -> bool:  # fmt: skip
        """Completes the record of a stage from its span and writes its line; `extra` are attributes that others set."""
        record.timestamp = record.end_time = iso(end_ns)
        record.duration_ms = (end_ns - start_ns + 500_000) // 1_000_000
        if status is StatusCode.ERROR:
            record.success = False
        if record.success:
            record.message = f"Stage completed: {record.stage}"
        else:
            record.message, record.event_type = f"Stage failed: {record.stage}", "stage_failed"
        if extra:
            record.attributes = clean_mapping(extra, self._limit)
        if events:
            record.events = self._events(events)
        if links:
            record.links = links_as_json(links)
        return self.ledger.append(record)

    def write_root(self, record: SessionEnd, flags: int, end_ns: int) -> bool:
        """Completes the record of a session's end from its span and writes its line."""
        record.timestamp = record.end_time = iso(end_ns)
        record.flags = flags
        return self.ledger.append(record)

    def write_begin(self, record: ProcessingMetric) -> None:
        """Writes the line of a stage that has begun."""
        self.ledger.append(
            StageBegin(
                record.metric_id, record.start_time, "metric", "stage_started", f"Stage started: {record.stage}",
                record.session_id, record.user_id, record.chat_id, record.stage, record.span_id,
            )
        )  # fmt: skip

    def shutdown(self) -> None:
        """Lets go of the log file, which a later span opens again; nothing is held back."""
        if self._own:
            self.ledger.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back, so there is nothing to flush."""
        del timeout_millis
        return True

    def _foreign_record(
        self, kind: type[SpanEnded], span: ReadableSpan, context: SpanContext, session_id: str
    ) -> SpanEnded:
        attributes = span.attributes or {}
        start_ns = span.start_time or 0
        end_ns = max(start_ns, span.end_time or 0)  # the SDK takes both from a clock that may go back
        failed = span.status.status_code is StatusCode.ERROR
        error_type = attributes.get(names.ERROR_TYPE)
        scope = span.instrumentation_scope
        record = kind(
            record_id(start_ns, context.span_id), iso(end_ns), "metric", "span_ended", f"Span ended: {span.name}", session_id,
            span.name, span.kind.name.lower(), iso(start_ns), iso(end_ns), (end_ns - start_ns + 500_000) // 1_000_000,
            not failed, scope.name if scope else "", f"{context.span_id:016x}",
            f"{span.parent.span_id:016x}" if span.parent else "", int(context.trace_flags),
        )  # fmt: skip
        if error_type:
            record.error_type = str(error_type)
        kept = self._allowed({key: value for key, value in attributes.items() if key != names.SESSION_ID})
        if kept:
            record.attributes = clean_mapping(kept, self._limit)
        if span.events:
            record.events = self._events(span.events)
        if span.links:
            record.links = links_as_json(span.links)
        if not session_id or context.trace_id != trace_id_of(session_id):
            record.trace_id = f"{context.trace_id:032x}"
        if span.parent and span.parent.is_remote:
            record.parent_is_remote = True
        if scope and scope.version:
            record.scope_version = scope.version
        if context.trace_state:
            record.trace_state = context.trace_state.to_header()
        return record

    def _allowed(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Attributes without the texts of model calls: who has them captured for a backend need not want them here."""
        return attributes if self._keeps_texts else without_texts(attributes)

    def _events(self, events: Sequence[Event]) -> list[Json]:
        return [
            {
                "name": event.name,
                "timestamp": iso(event.timestamp),
                "attributes": clean_mapping(self._allowed(event.attributes or {}), self._limit),
            }
            for event in events
        ]


class StoreSpanProcessor(SpanProcessor):
    """Puts the store into any `TracerProvider`: `provider.add_span_processor(StoreSpanProcessor())`.

    Writes a line when a stage begins, and through its exporter one when any span of a session ends, also where the
    sampler only lets spans be recorded. Spans opened inside a stage get the stage's `session.id`.
    """

    def __init__(self, exporter: StoreSpanExporter | None = None) -> None:
        self.exporter = exporter or StoreSpanExporter()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Ties a stage's record to its span and writes the line of its begin; marks other spans as of their session."""
        context = get_current() if parent_context is None else parent_context
        record = context.get(names.STAGE_CONTEXT)
        if not isinstance(record, ProcessingMetric):
            if session_id := _handled_session(context):
                span.set_attribute(names.SESSION_ID, session_id)
            watch(self.exporter.calls, span, context)
            return
        if record.span_id:
            if names.SESSION_ID not in (span.attributes or {}):
                span.set_attribute(names.SESSION_ID, record.session_id)
            watch(self.exporter.calls, span, context)
            return
        started = span.get_span_context()
        pending.tie(record, started.span_id, int(started.trace_flags), span.start_time or 0)
        if not record.end_time:
            self.exporter.write_begin(record)

    def on_end(self, span: ReadableSpan) -> None:
        """Writes the span's line. A fault stays here: this runs in whatever code ends its span."""
        try:
            self.exporter.write(span)
        except Exception as error:
            self.exporter.ledger.lost("fault_in_exporter", error)
        tell_end(self.exporter.calls, span)

    def shutdown(self) -> None:
        """Nothing is held back."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back, so there is nothing to flush."""
        del timeout_millis
        return True


def _handled_session(context: Context) -> str:
    """The session of the update that is being handled, while it is; empty outside."""
    handling = context.get(names.HANDLING_CONTEXT)
    return "" if handling is None or getattr(handling, "ended", True) else str(getattr(handling, "session_id", ""))


_OF_A_STAGE = frozenset(
    {
        names.SESSION_ID, names.STAGE, names.USER_HASH, names.CHAT, names.PLATFORM, names.ERROR_TYPE, names.MODERATOR,
        names.MESSAGE,
    }
)  # fmt: skip


def _extra_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What others put on a stage's span; the rest can be told from the record's own columns."""
    prefix = names.METADATA_PREFIX
    return {key: value for key, value in attributes.items() if key not in _OF_A_STAGE and not key.startswith(prefix)}


def _session_of_trace(trace_id: int) -> str | None:
    """The session of a span that carries no session id: its trace id tells, where it is one of ours."""
    text = f"{trace_id:032x}"
    return text if session_start_ns(text) is not None else None


def _ledger_of(settings: Settings) -> JournalLedger:
    layout = StoreLayout(settings.database, settings.log_file)
    journal = Journal(layout, max_bytes=rotate_at_bytes(settings), durability=settings.durability)
    return JournalLedger(journal, Losses())
