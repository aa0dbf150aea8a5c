"""A ClickHouse in the process (chdb), the rows that the collector's exporter makes of OTLP, and a store as it leaves the machine."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from otel_metrics.model.identity import IdHasher
from support.clickhouse_server import ClickHouseServer

Json = dict[str, Any]
_STATUS = ("Unset", "Ok", "Error")
_KIND = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STAYS = ("user_id", "chat_id", "session_id", "text", "admin_user_id", "moderator_id")


def insert(server: ClickHouseServer, requests: list[Any], table: str = "otel_traces") -> None:
    """Inserts what OTLP requests hold, as the collector's exporter does."""
    lines = "\n".join(json.dumps(row) for request in requests for row in exported(request))
    server.query(f"INSERT INTO {table} FORMAT JSONEachRow {lines}")


def exported(request: Any) -> Iterator[Json]:
    """The rows that the exporter makes of a request: each value of an attribute as text."""
    for resource in request.resource_spans:
        of_resource = _texts(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "Timestamp": _time(span.start_time_unix_nano), "TraceId": span.trace_id.hex(), "SpanId": span.span_id.hex(),
                    "ParentSpanId": span.parent_span_id.hex(), "TraceState": span.trace_state, "SpanName": span.name,
                    "SpanKind": _KIND[span.kind], "ServiceName": of_resource.get("service.name", ""),
                    "ResourceAttributes": of_resource, "ScopeName": scope.scope.name, "ScopeVersion": scope.scope.version,
                    "SpanAttributes": _texts(span.attributes),
                    "Duration": span.end_time_unix_nano - span.start_time_unix_nano, "StatusCode": _STATUS[span.status.code],
                    "StatusMessage": span.status.message, "Events.Timestamp": [_time(one.time_unix_nano) for one in span.events],
                    "Events.Name": [one.name for one in span.events],
                    "Events.Attributes": [_texts(one.attributes) for one in span.events],
                    "Links.TraceId": [one.trace_id.hex() for one in span.links],
                    "Links.SpanId": [one.span_id.hex() for one in span.links],
                    "Links.TraceState": [one.trace_state for one in span.links],
                    "Links.Attributes": [_texts(one.attributes) for one in span.links],
                }  # fmt: skip


def _texts(attributes: Any) -> dict[str, str]:
    return {one.key: _text(one.value) for one in sorted(attributes, key=lambda one: one.key)}


def _text(value: Any) -> str:
    """A value as the collector's `AsString` gives it."""
    kind = value.WhichOneof("value")
    found = getattr(value, kind) if kind else ""
    if kind == "bool_value":
        return "true" if found else "false"
    if kind == "double_value":
        return repr(found).removesuffix(".0")
    if kind == "array_value":
        return json.dumps([_plain(one) for one in found.values], separators=(",", ":"), ensure_ascii=False)
    return str(found)


def _plain(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def _time(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}.{ns % 10**9:09}"


def as_sent(database: Path, hasher: IdHasher) -> None:
    """Changes a store into what OTLP carries of it: keyed hashes for ids, no texts, and no rows of what is no span.

    So DuckDB over it and ClickHouse over the spans have the same facts.
    """

    def number(kind: str, given: Any) -> int:
        return int(hasher.hash(kind, given), 16) & (1 << 63) - 1 if given else 0

    def metadata(text: str | None) -> str | None:
        given: Mapping[str, Any] = json.loads(text or "{}")
        told = {key: value for key, value in given.items() if key not in _STAYS and value is not None}
        moderator = given.get("admin_user_id") or given.get("moderator_id")
        if moderator:
            told["admin_user_id"] = number("moderator", moderator)
        if told.get("message_id"):
            told["message_id"] = hasher.hash("message", told["message_id"])
        return json.dumps(told)

    with closing(sqlite3.connect(database)) as connection, connection:
        connection.create_function("hashed", 2, number)
        connection.create_function("message_hash", 1, lambda text: hasher.hash("message", text) if text else "")
        connection.create_function("sent_metadata", 1, metadata)
        connection.executescript(_AS_SENT)


_AS_SENT = """
UPDATE processing_metrics SET user_id = hashed('user', user_id), chat_id = hashed('chat', chat_id), error_message = NULL,
    metadata = sent_metadata(metadata), process = NULL, flags = NULL;
UPDATE spans SET process = NULL, flags = NULL;
UPDATE correction_metrics SET admin_user_id = hashed('moderator', admin_user_id), message_id = message_hash(message_id),
    metadata = sent_metadata(metadata), original_text = NULL, corrected_text = NULL, process = NULL;
UPDATE sessions SET user_id = hashed('user', user_id), chat_id = hashed('chat', chat_id),
    metadata = CASE WHEN ended_at IS NOT NULL THEN sent_metadata(metadata) END;
DELETE FROM sessions WHERE ended_at IS NULL AND session_id NOT IN (SELECT session_id FROM processing_metrics);
DELETE FROM running;
DELETE FROM processes;
DELETE FROM logs;
DELETE FROM system_metrics;
"""
