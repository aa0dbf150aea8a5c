"""Owns how a record of the journal becomes a span of the SDK's again, for an exporter: the same that ended in the bot."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import msgspec
from msgspec import UNSET
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from otel_metrics._version import __version__
from otel_metrics.model import names
from otel_metrics.model.attributes import root_attributes, stage_attributes
from otel_metrics.model.identity import IdHasher, root_span_id_of, trace_id_of
from otel_metrics.model.records import Json, ProcessingMetric, SessionEnd, SpanEnded
from otel_metrics.model.times import our_ns
from otel_metrics.model.values import clean_mapping

_LONGEST = 1024
_NO_STATE, _SAMPLED = TraceState(), TraceFlags(TraceFlags.SAMPLED)
_PLAIN = frozenset({str, bool, int, float})
_SCOPE = InstrumentationScope(names.SCOPE, __version__, names.SCHEMA_URL)
_UNSET, _ERROR = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


class SpanToSend(msgspec.Struct, gc=False):
    """What an exporter reads of a `ReadableSpan`, without the copies and proxies that the SDK's own makes at each look.

    The collector of garbage does not look through it either: thousands are made at a time, and none refers to itself.
    """

    name: str
    context: "ContextToSend"
    parent: "ContextToSend | None"
    resource: Resource
    kind: SpanKind
    instrumentation_scope: InstrumentationScope
    status: Status
    attributes: Mapping[str, Any]
    events: Sequence[Event]
    links: Sequence[Link]
    start_time: int
    end_time: int
    dropped_attributes: int
    dropped_events: int
    dropped_links: int

    def get_span_context(self) -> "ContextToSend":
        """The same as `context`."""
        return self.context


class ContextToSend(msgspec.Struct, gc=False):
    """The same of a `SpanContext`."""

    trace_id: int
    span_id: int
    is_remote: bool
    trace_state: TraceState


class Readable:
    """Makes spans of records. Ids leave as keyed hashes, of an error only its type; times have microseconds."""

    def __init__(self, hasher: IdHasher) -> None:
        self.hasher = hasher
        self._limits = SpanLimits()

    def span(self, record: ProcessingMetric | SpanEnded, resource: Resource) -> ReadableSpan:
        """The span of a record, as far as exporters look at it."""
        trace_id = _trace_of(record.session_id)
        if isinstance(record, SpanEnded):
            if record.trace_id is not UNSET:
                trace_id = int(record.trace_id, 16)
            name, kind, attributes = record.name, SpanKind[record.span_kind.upper()], self._attributes(record)
            state, links = _given(record.trace_state), _given(record.links)
            scope = _SCOPE if isinstance(record, SessionEnd) else _scope_of(record)
        else:
            name, kind, attributes = record.stage, SpanKind.INTERNAL, stage_attributes(record, self.hasher)
            attributes |= _given(record.attributes) or {}
            state, links, scope = None, _given(record.links), _SCOPE
        limits = self._limits
        bounded = _bounded(attributes, limits.max_span_attributes, limits.max_span_attribute_length)
        events = _bounded_list(limits.max_events, [self._event(event) for event in _given(record.events) or ()])
        links = _bounded_list(limits.max_links, [_link(link) for link in links or ()])
        states = TraceState.from_header([state]) if state else _NO_STATE
        span = SpanToSend(
            name, ContextToSend(trace_id, int(record.span_id, 16), False, states), _parent(record, trace_id, states),
            resource, kind, scope, _UNSET if record.success else _ERROR, bounded, events, links,
            our_ns(record.start_time), our_ns(record.end_time),
            getattr(bounded, "dropped", 0), getattr(events, "dropped", 0), getattr(links, "dropped", 0),
        )  # fmt: skip
        return cast("ReadableSpan", span)

    def _attributes(self, record: SpanEnded) -> Json:
        if isinstance(record, SessionEnd):
            return root_attributes(record, self.hasher)
        attributes = dict(_given(record.attributes) or {})
        if record.session_id:
            attributes[names.SESSION_ID] = record.session_id
        return attributes

    def _event(self, event: Json) -> Event:
        limits = self._limits
        attributes = _bounded(event["attributes"], limits.max_event_attributes, limits.max_attribute_length)
        return Event(event["name"], attributes, our_ns(event["timestamp"]))


class _KnownResource(Resource):
    """A resource that is hashed once: exporters look it up for every span, and the SDK makes JSON of it each time."""

    def __init__(self, attributes: Json) -> None:
        super().__init__(attributes)
        self._hash = super().__hash__()

    __eq__ = Resource.__eq__

    def __hash__(self) -> int:
        return self._hash


def resource_of(encoded: bytes | str) -> Resource:
    """A resource as the process that wrote the record told it, in JSON."""
    return _KnownResource(msgspec.json.decode(encoded))


def _bounded(attributes: Json, most: int | None, longest: int | None) -> Mapping[str, Any]:
    """Attributes within the SDK's limits. Those of a record were cleaned when it was written: mostly there is nothing to do."""
    if (
        longest is None
        and (most is None or len(attributes) <= most)
        and _PLAIN.issuperset(map(type, attributes.values()))
    ):
        return attributes
    return BoundedAttributes(most, attributes, max_value_len=longest)


def _bounded_list(most: int | None, items: list[Any]) -> Sequence[Any]:
    return BoundedList.from_seq(most, items) if items else ()


def links_as_json(links: Sequence[Link]) -> list[Json]:
    """The links of a span as a record keeps them; `_link` is the way back."""
    return [
        {
            "trace_id": f"{link.context.trace_id:032x}",
            "span_id": f"{link.context.span_id:016x}",
            "is_remote": link.context.is_remote,
            "attributes": clean_mapping(link.attributes or {}, _LONGEST),
        }
        for link in links
    ]


def _link(link: Mapping[str, Any]) -> Link:
    context = SpanContext(int(link["trace_id"], 16), int(link["span_id"], 16), link["is_remote"], _SAMPLED)
    return Link(context, link["attributes"])


def _parent(record: ProcessingMetric | SpanEnded, trace_id: int, states: TraceState) -> ContextToSend | None:
    """The parent, if there is one. A session's root is always remote: nobody holds it open."""
    if not record.parent_span_id:
        return None
    span_id = int(record.parent_span_id, 16)
    remote = span_id == _root_of(trace_id)
    if isinstance(record, SpanEnded):
        remote = remote or bool(_given(record.parent_is_remote))
    return ContextToSend(trace_id, span_id, remote, states)


_trace_of = lru_cache(maxsize=1024)(trace_id_of)
_root_of = lru_cache(maxsize=1024)(root_span_id_of)


def _scope_of(record: SpanEnded) -> InstrumentationScope:
    return _scope(record.scope, _given(record.scope_version))


@lru_cache(maxsize=256)
def _scope(name: str, version: str | None) -> InstrumentationScope:
    return InstrumentationScope(name, version)


def _given(value: Any) -> Any:
    """What is in an optional field of a record; None where nothing is."""
    return None if value is UNSET else value
