"""Owns the correction: its own line in the journal, its event on the session's live stage span, its metrics."""

import math
from typing import Any

from opentelemetry.context import Context, get_current
from opentelemetry.trace import Span, get_current_span, set_span_in_context

from otel_metrics.model import names
from otel_metrics.model.attributes import metadata_attributes
from otel_metrics.model.identity import record_id
from otel_metrics.model.records import CorrectionMetric, Json
from otel_metrics.model.times import iso
from otel_metrics.model.values import clean_mapping, clean_text, text_of
from otel_metrics.model.vocabulary import CorrectionType
from otel_metrics.recording.edits import similarity, word_edit_rate
from otel_metrics.recording.kit import RecordingKit, integer_ids

_UNKNOWN_TYPE = "unknown"


def record_correction(
    kit: RecordingKit, session_id: str, admin_user_id: object, message_id: object, correction_type: str,
    original_text: str | None, corrected_text: str | None, processing_time_ms: float | None,
    voice_transcription_time_ms: float | None, ai_correction_time_ms: float | None,
    admin_satisfaction: int | None, retry_count: int, metadata: Json,
) -> None:  # fmt: skip
    """Records what a moderator did to a draft. The row comes from the line alone; the event carries the same id."""
    session_id, notes = kit.session_text(session_id)
    (admin,), originals = integer_ids(admin_user_id=admin_user_id)
    cleaned = {**clean_mapping(metadata, kit.text_limit, kit.guard.unreadable), **notes, **originals}
    kind = _checked_type(kit, correction_type, cleaned)
    original, corrected = _text(original_text), _text(corrected_text)
    now_ns = kit.clock.time_ns()
    record = CorrectionMetric(
        record_id(now_ns, kit.new_number()), iso(now_ns), "metric", "correction_recorded", f"Correction recorded: {kind}",
        session_id, admin, clean_text(_text(message_id), 256), kind, len(original), len(corrected),
        _milliseconds(kit, "processing_time_ms", processing_time_ms, cleaned),
        round(word_edit_rate(original, corrected), 6), round(similarity(original, corrected), 6), cleaned,
        retry_count=_milliseconds(kit, "retry_count", retry_count, cleaned) or 0,
    )  # fmt: skip
    if voice_transcription_time_ms is not None:
        record.voice_transcription_time_ms = _milliseconds(
            kit, "voice_transcription_time_ms", voice_transcription_time_ms, cleaned
        )
    if ai_correction_time_ms is not None:
        record.ai_correction_time_ms = _milliseconds(kit, "ai_correction_time_ms", ai_correction_time_ms, cleaned)
    if admin_satisfaction is not None:
        record.admin_satisfaction = _checked_satisfaction(kit, admin_satisfaction, cleaned)
    if original_text is not None:
        record.original_hash = kit.hasher.text(original)
    if corrected_text is not None:
        record.corrected_hash = kit.hasher.text(corrected)
    if kit.capture_content:
        record.original_text, record.corrected_text = (
            clean_text(original, kit.text_limit),
            clean_text(corrected, kit.text_limit),
        )
    kit.ledger.append(record)
    context = _add_to_trace(kit, record, now_ns)
    _measure(kit, record, context)


def _add_to_trace(kit: RecordingKit, record: CorrectionMetric, now_ns: int) -> Context:
    """Puts the event on the session's live stage span, or on a short span of its own; gives the span's context."""
    attributes = _event_attributes(kit, record)
    span = _live_span(kit, record.session_id)
    if span is not None:
        _add_event(span, attributes, now_ns)
        return set_span_in_context(span)
    context = set_span_in_context(kit.root_of(record.session_id), Context(get_current()))
    span = kit.tracer.start_span(
        names.CORRECTION_SPAN, context, attributes={names.SESSION_ID: record.session_id}, start_time=now_ns
    )
    _add_event(span, attributes, now_ns)
    span.end(end_time=max(now_ns, kit.clock.time_ns()))
    return set_span_in_context(span)


def _add_event(span: Span, attributes: dict[str, Any], now_ns: int) -> None:
    """The one place that calls `Span.add_event`, whose deprecation OpenTelemetry has announced."""
    span.add_event(names.CORRECTION_EVENT, attributes, now_ns)


def _live_span(kit: RecordingKit, session_id: str) -> Span | None:
    """The stage span of the session that is open here: the current one where it is of this session, else the newest."""
    timers = kit.live.get(session_id)
    if not timers:
        return None
    spans = [timer.span for timer in timers if timer.span is not None]
    current = get_current_span()
    if current in spans:
        return current
    return spans[-1] if spans else None


def _event_attributes(kit: RecordingKit, record: CorrectionMetric) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        names.CORRECTION_ID: record.correction_id,
        names.CORRECTION_TYPE: record.correction_type,
        names.CORRECTION_EDIT_DISTANCE: record.word_edit_rate,
        names.CORRECTION_SIMILARITY: record.similarity,
        names.CORRECTION_ORIGINAL_LENGTH: record.original_length,
        names.CORRECTION_CORRECTED_LENGTH: record.corrected_length,
        names.REVIEW_DECISION: _decision(record),
        **metadata_attributes(record.metadata),
    }
    if record.admin_user_id:
        attributes[names.MODERATOR] = kit.hasher.hash("moderator", record.admin_user_id)
    if isinstance(record.admin_satisfaction, int):
        attributes[names.SATISFACTION] = record.admin_satisfaction
    if record.message_id:
        attributes[names.MESSAGE] = kit.hasher.hash("message", record.message_id)
    if record.retry_count:
        attributes[names.CORRECTION_RETRIES] = record.retry_count
    times = (
        (names.CORRECTION_DURATION, record.processing_time_ms),
        (names.TRANSCRIPTION, record.voice_transcription_time_ms),
        (names.CORRECTION_AI_DURATION, record.ai_correction_time_ms),
    )
    hashes = (
        (names.CORRECTION_ORIGINAL_HASH, record.original_hash),
        (names.CORRECTION_CORRECTED_HASH, record.corrected_hash),
    )
    attributes.update({name: took_ms / 1000 for name, took_ms in times if isinstance(took_ms, int)})
    attributes.update({name: digest for name, digest in hashes if isinstance(digest, str)})
    return attributes


def _measure(kit: RecordingKit, record: CorrectionMetric, context: Context) -> None:
    decision = {names.REVIEW_DECISION: _decision(record)}
    kit.instruments.measure(
        kit.instruments.corrections.add, 1, {names.CORRECTION_TYPE: record.correction_type}, context
    )
    if record.processing_time_ms is not None:
        kit.instruments.measure(
            kit.instruments.review_duration.record, record.processing_time_ms / 1000, decision, context
        )
    if isinstance(record.admin_satisfaction, int):
        kit.instruments.measure(kit.instruments.satisfaction.record, record.admin_satisfaction, decision, context)


def _decision(record: CorrectionMetric) -> str:
    return "rejected" if record.correction_type == CorrectionType.REJECTION else "edited"


def _checked_type(kit: RecordingKit, given: object, notes: Json) -> str:
    try:
        return str(CorrectionType(text_of(given)))
    except ValueError:
        kit.guard.complain(
            "correction_type",
            f"correction_type={text_of(given, repr)} is not known",
            f"one of {', '.join(CorrectionType)}",
        )
        notes["correction_type"] = clean_text(text_of(given), 256)
        return _UNKNOWN_TYPE


def _checked_satisfaction(kit: RecordingKit, given: object, notes: Json) -> int | None:
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= 5:
        return int(given)
    kit.guard.complain(
        "satisfaction", f"admin_satisfaction={text_of(given, repr)} is out of range", "an integer from 1 to 5, or None"
    )
    notes["admin_satisfaction"] = clean_text(text_of(given), 256)
    return None


def _milliseconds(kit: RecordingKit, name: str, given: object, notes: Json) -> int | None:
    """A count or a time as a whole number from 0 on; None stays None."""
    if given is None:
        return None
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < 1 << 53 and math.isfinite(given):
        return round(given)
    kit.guard.complain(name, f"{name}={text_of(given, repr)} is not usable", "a number from 0 on, or None")
    notes[name] = clean_text(text_of(given), 256)
    return None


def _text(value: object) -> str:
    return "" if value is None else text_of(value)
