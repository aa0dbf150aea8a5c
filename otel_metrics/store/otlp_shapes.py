"""Owns the shapes of OTLP JSON, as far as spans are concerned."""

import msgspec

from otel_metrics.model.records import Json


class Named(msgspec.Struct):
    """An attribute."""

    key: str
    value: Json = {}


class OtlpEvent(msgspec.Struct, rename="camel"):
    """An event of a span."""

    name: str = ""
    time_unix_nano: int = 0
    attributes: list[Named] = []


class OtlpLink(msgspec.Struct, rename="camel"):
    """A link of a span."""

    trace_id: str = ""
    span_id: str = ""
    flags: int = 0
    attributes: list[Named] = []


class OtlpStatus(msgspec.Struct):
    """How a span ended."""

    code: int | str = 0


class OtlpSpan(msgspec.Struct, rename="camel"):
    """A span; times are nanoseconds, as texts or numbers."""

    trace_id: str
    span_id: str
    start_time_unix_nano: int
    end_time_unix_nano: int
    name: str = ""
    parent_span_id: str = ""
    trace_state: str = ""
    kind: int | str = 0
    flags: int = 0
    attributes: list[Named] = []
    events: list[OtlpEvent] = []
    links: list[OtlpLink] = []
    status: OtlpStatus = msgspec.field(default_factory=OtlpStatus)


class OtlpScope(msgspec.Struct):
    """Who made spans."""

    name: str = ""
    version: str = ""


class ScopeSpans(msgspec.Struct):
    """Spans of one scope, each decoded by itself: one that can not be read does not keep the others."""

    scope: OtlpScope = msgspec.field(default_factory=OtlpScope)
    spans: list[msgspec.Raw] = []


class OtlpResource(msgspec.Struct):
    """Which process made spans."""

    attributes: list[Named] = []


class ResourceSpans(msgspec.Struct, rename="camel"):
    """Spans of one process."""

    resource: OtlpResource = msgspec.field(default_factory=OtlpResource)
    scope_spans: list[ScopeSpans] = []


class OtlpLine(msgspec.Struct, rename="camel"):
    """One line; metrics and logs have other fields."""

    resource_spans: list[ResourceSpans] | None = None


decode_line = msgspec.json.Decoder(OtlpLine, strict=False).decode
decode_span = msgspec.json.Decoder(OtlpSpan, strict=False).decode
