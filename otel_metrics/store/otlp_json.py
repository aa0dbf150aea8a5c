"""Owns what a line of OTLP JSON says, as the collector's file exporter writes it: spans become the records that they were, or would be here."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from otel_metrics.model import names
from otel_metrics.model.attributes import without_texts
from otel_metrics.model.identity import as_integer_id, record_id, root_span_id_of, session_start_ns, trace_id_of
from otel_metrics.model.records import (
    CorrectionMetric,
    Json,
    ProcessingMetric,
    Record,
    SessionBegin,
    SessionEnd,
    SpanEnded,
)
from otel_metrics.model.times import iso
from otel_metrics.model.values import clean_mapping, clean_text
from otel_metrics.store.otlp_shapes import Named, OtlpEvent, OtlpScope, OtlpSpan, decode_line, decode_span

_KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
_KIND_NAMES = {f"SPAN_KIND_{kind.upper()}": place for place, kind in enumerate(_KINDS) if place}
_ERROR = (2, "STATUS_CODE_ERROR")
_REMOTE_KNOWN, _IS_REMOTE = 0x100, 0x200
_SAMPLED = 1  # what was exported was sampled; the flags of OTLP do not tell
_MS = 1e6


@dataclass(slots=True)
class TakenSpan:
    """A span as its records, with the OpenTelemetry resource of its process; `skipped` is why it has none.

    `user` and `moderators` are keyed hashes of people, as the host that sent them made them.
    """

    resource: Json
    records: list[Record] = field(default_factory=list)
    skipped: Literal["", "unreadable", "no_session"] = ""
    session_id: str = ""
    user: str = ""
    moderators: list[str] = field(default_factory=list)
    end_time: str = ""


class OtlpReader:
    """Makes records of lines. `text_limit` and `keeps_texts` are this store's: what is not kept here is not taken in either."""

    def __init__(self, text_limit: int, *, keeps_texts: bool) -> None:
        self._limit = text_limit
        self._keeps_texts = keeps_texts

    def spans(self, line: bytes) -> Iterator[TakenSpan]:
        """The spans of a line; none where it holds metrics or logs. Raises `ValueError` for what is no OTLP JSON."""
        for of_resource in decode_line(line).resource_spans or ():
            resource = _values(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                for raw in of_scope.spans:
                    yield self._taken(raw, resource, of_scope.scope)

    def _taken(self, raw: msgspec.Raw, resource: Json, scope: OtlpScope) -> TakenSpan:
        taken = TakenSpan(resource)
        try:
            self._fill(taken, decode_span(raw), scope)
        except (ValueError, OverflowError, RecursionError, TypeError):
            taken.records, taken.skipped = [], "unreadable"
        return taken

    def _fill(self, taken: TakenSpan, span: OtlpSpan, scope: OtlpScope) -> None:
        trace_id, span_id = int(span.trace_id, 16), int(span.span_id, 16)
        attributes = _values(span.attributes)
        own_trace = f"{trace_id:032x}"
        told = attributes.pop(names.SESSION_ID, None) or (own_trace if session_start_ns(own_trace) is not None else "")
        taken.session_id = session_id = clean_text(str(told), 256)
        taken.end_time = iso(max(span.start_time_unix_nano, span.end_time_unix_nano))
        if not session_id:
            taken.skipped = "no_session"
            return
        is_own = scope.name == names.SCOPE
        taken.user = str(attributes.get(names.USER_HASH, "")) if is_own else ""
        if is_own and span_id == root_span_id_of(trace_id):
            root = self._root(span, session_id, trace_id, attributes)
            taken.records = [_begin_of(root), root]
        elif is_own and names.STAGE in attributes:
            taken.records = [self._stage(span, session_id, attributes)]
        else:
            taken.records = [self._other(span, session_id, trace_id, attributes, scope)]
        if is_own:
            for event in span.events:
                if event.name == names.CORRECTION_EVENT:
                    facts = _values(event.attributes)
                    taken.moderators.append(str(facts.get(names.MODERATOR, "")))
                    taken.records.append(self._correction(event, facts, session_id))

    def _stage(self, span: OtlpSpan, session_id: str, attributes: Json) -> ProcessingMetric:
        stage = clean_text(str(attributes.pop(names.STAGE)), 256)
        people = {
            "user_id": attributes.pop(names.USER_HASH, None), "chat_id": attributes.pop(names.CHAT, None)
        }  # fmt: skip
        metadata = _metadata(attributes)
        attributes.pop(names.PLATFORM, None)
        error_type = attributes.pop(names.ERROR_TYPE, None)
        (user, chat), originals = _integer_ids(people)
        start, end, duration = _times(span)
        failed = span.status.code in _ERROR
        record = ProcessingMetric(
            record_id(span.start_time_unix_nano, int(span.span_id, 16)), end, "metric",
            "stage_failed" if failed else "stage_completed", f"Stage {'failed' if failed else 'completed'}: {stage}",
            session_id, user, chat, stage, start, end, duration, not failed,
            {**self._clean(metadata), **originals}, _id(span.span_id), _id(span.parent_span_id), _SAMPLED,
        )  # fmt: skip
        if error_type:
            record.error_type = str(error_type)
        if attributes:
            record.attributes = self._clean(attributes)
        self._add_events_and_links(record, span)
        return record

    def _root(self, span: OtlpSpan, session_id: str, trace_id: int, attributes: Json) -> SessionEnd:
        people = {
            "user_id": attributes.pop(names.USER_HASH, None), "chat_id": attributes.pop(names.CHAT, None)
        }  # fmt: skip
        outcome = clean_text(str(attributes.pop(names.OUTCOME, "delivered")), 64)
        (user, chat), originals = _integer_ids(people)
        start, end, duration = _times(span)
        span_id = _id(span.span_id)
        return SessionEnd(
            f"{trace_id:032x}"[:14] + span_id, end, "metric", "session_ended", f"Session ended: {outcome}", session_id,
            names.SESSION_SPAN, "internal", start, end, duration, span.status.code not in _ERROR, names.SCOPE, span_id, "",
            _SAMPLED, user_id=user, chat_id=chat, outcome=outcome,
            metadata={**self._clean(_metadata(attributes)), **originals},
        )  # fmt: skip

    def _other(self, span: OtlpSpan, session_id: str, trace_id: int, attributes: Json, scope: OtlpScope) -> SpanEnded:
        start, end, duration = _times(span)
        kind = _KIND_NAMES.get(span.kind, 0) if isinstance(span.kind, str) else span.kind
        record = SpanEnded(
            record_id(span.start_time_unix_nano, int(span.span_id, 16)), end, "metric", "span_ended",
            f"Span ended: {clean_text(span.name, 1024)}", session_id, clean_text(span.name, 1024),
            _KINDS[kind if 0 <= kind < len(_KINDS) else 0], start, end, duration, span.status.code not in _ERROR,
            clean_text(scope.name, 256), _id(span.span_id), _id(span.parent_span_id), _SAMPLED,
        )  # fmt: skip
        if error_type := attributes.get(names.ERROR_TYPE):
            record.error_type = str(error_type)
        if kept := self._allowed(attributes):
            record.attributes = self._clean(kept)
        self._add_events_and_links(record, span)
        if trace_id != trace_id_of(session_id):
            record.trace_id = f"{trace_id:032x}"
        if span.parent_span_id and span.flags & _REMOTE_KNOWN and span.flags & _IS_REMOTE:
            record.parent_is_remote = True
        if scope.version:
            record.scope_version = clean_text(scope.version, 256)
        if span.trace_state:
            record.trace_state = clean_text(span.trace_state, 512)
        return record

    def _correction(self, event: OtlpEvent, facts: Json, session_id: str) -> CorrectionMetric:
        """What the event tells: not the message's id, nor how long the correction took."""
        (admin, _), originals = _integer_ids({"admin_user_id": facts.get(names.MODERATOR), "chat_id": None})
        kind = clean_text(str(facts.get(names.CORRECTION_TYPE, "text_correction")), 64)
        record = CorrectionMetric(
            clean_text(str(facts[names.CORRECTION_ID]), 64), iso(event.time_unix_nano), "metric", "correction_recorded",
            f"Correction recorded: {kind}", session_id, admin, "", kind,
            int(facts.get(names.CORRECTION_ORIGINAL_LENGTH, 0)), int(facts.get(names.CORRECTION_CORRECTED_LENGTH, 0)), None,
            float(facts.get(names.CORRECTION_EDIT_DISTANCE, 0)), float(facts.get(names.CORRECTION_SIMILARITY, 0)),
            {**self._clean(_metadata(facts)), **originals},
        )  # fmt: skip
        if isinstance(satisfaction := facts.get(names.SATISFACTION), int):
            record.admin_satisfaction = satisfaction
        if isinstance(seconds := facts.get(names.TRANSCRIPTION), int | float):
            record.voice_transcription_time_ms = round(seconds * 1000)
        return record

    def _add_events_and_links(self, record: ProcessingMetric | SpanEnded, span: OtlpSpan) -> None:
        if span.events:
            record.events = [
                {
                    "name": clean_text(event.name, 1024), "timestamp": iso(event.time_unix_nano),
                    "attributes": self._clean(self._allowed(_values(event.attributes))),
                }
                for event in span.events
            ]  # fmt: skip
        if span.links:
            record.links = [
                {
                    "trace_id": f"{int(link.trace_id, 16):032x}", "span_id": _id(link.span_id),
                    "is_remote": bool(link.flags & _IS_REMOTE), "attributes": self._clean(_values(link.attributes)),
                }
                for link in span.links
            ]  # fmt: skip

    def _clean(self, values: Mapping[str, Any]) -> Json:
        return clean_mapping(values, self._limit)

    def _allowed(self, attributes: Json) -> Mapping[str, Any]:
        return attributes if self._keeps_texts else without_texts(attributes)


def _begin_of(root: SessionEnd) -> SessionBegin:
    """What the root tells of the session's beginning, in place of the line that stands in its host's journal."""
    return SessionBegin(
        root.session_id, root.start_time, "metric", "session_started", "Session started", root.user_id, root.chat_id,
        root.metadata,
    )  # fmt: skip


def _times(span: OtlpSpan) -> tuple[str, str, int]:
    start_ns = span.start_time_unix_nano
    end_ns = max(start_ns, span.end_time_unix_nano)
    return iso(start_ns), iso(end_ns), round((end_ns - start_ns) / _MS)


def _id(span_id: str) -> str:
    return f"{int(span_id, 16):016x}" if span_id.strip("0") else ""


def _integer_ids(people: Mapping[str, Any]) -> tuple[list[int], Json]:
    """Only hashes of ids leave a host: each stands for its person, as the id of a platform that has no numbers does."""
    numbers, originals = [], {}
    for name, told in people.items():
        number, original = as_integer_id(told and f"#{told}")
        numbers.append(number)
        if original is not None:
            originals[name] = original
    return numbers, originals


def _metadata(attributes: Json) -> Json:
    """Takes out what is metadata; nested values went out as JSON text."""
    prefix = names.METADATA_PREFIX
    found = {key: attributes.pop(key) for key in [*attributes] if key.startswith(prefix)}
    return {key.removeprefix(prefix): _nested(value) for key, value in found.items()}


def _nested(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return msgspec.json.decode(value)
        except (ValueError, RecursionError):
            return value
    return value


def _values(attributes: Sequence[Named]) -> Json:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Json) -> Any:
    """A value of OTLP JSON: integers of 64 bits are texts there, bytes are base64."""
    match value:
        case {"intValue": number}:
            return int(number)
        case {"doubleValue": number}:  # NaN and the infinities are texts there too
            return float(number)
        case {"arrayValue": {"values": [*items]}}:
            return [_value(item) for item in items]
        case {"kvlistValue": {"values": [*items]}}:
            return {str(item["key"]): _value(item.get("value", {})) for item in items}
        case {"bytesValue": text}:
            return base64.b64decode(text)
        case {"arrayValue": _} | {"kvlistValue": _}:
            return [] if "arrayValue" in value else {}
    return next(iter(value.values()), None)
