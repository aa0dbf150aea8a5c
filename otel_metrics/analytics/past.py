"""Owns the past of a store as records again: sessions that are over, in the order in which they ended, each one whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import msgspec
from msgspec import UNSET

from otel_metrics.analytics.engine import Engine
from otel_metrics.analytics.window import Window
from otel_metrics.model import names
from otel_metrics.model.records import Json, ProcessingMetric, SessionEnd, SpanEnded

_SESSIONS_AT_ONCE = 1_500
_KEY = "md5_number_lower(session_id || span_id)"
_TABLES = ("processing_metrics", "spans")
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_decode_list = msgspec.json.Decoder(list[dict[str, Any]]).decode
Row = tuple[Any, ...]


class StoredSpan(msgspec.Struct, frozen=True, gc=False):
    """A span of the store: its key, its record, and the OpenTelemetry resource of the process that wrote it, in JSON."""

    key: int
    record: ProcessingMetric | SpanEnded
    resource: str


@dataclass(slots=True)
class PastFigures:
    """What there is: spans to send, of how many sessions; sent before; and what is left out, and why."""

    spans: int = 0
    sessions: int = 0
    sent_before: int = 0
    open_sessions: int = 0
    open_spans: int = 0
    not_sampled: int = 0
    without_ids: int = 0


class PastChangedError(Exception):
    """Rows have gone since the plan was made, or moved: plan again."""


class Past:
    """The spans of one store that are not in `sent`, planned once and then read some sessions at a time."""

    def __init__(self, engine: Engine, idle_since: str, window: Window, *, unsampled: bool = False) -> None:
        """`idle_since`, ISO-8601 UTC text: a session that nobody ended counts as over where nothing came of it since."""
        self._engine = engine
        self._idle_since = idle_since
        self._window = window
        self._sampled = "true" if unsampled else "coalesce(flags, 0) & 1 = 1"
        self._connection: duckdb.DuckDBPyConnection = engine.connection
        self._sessions = 0
        self._resources: dict[str, str] = {}

    def plan(self, sent: Iterable[bytes]) -> PastFigures:
        """Brings over what has come and finds what is to be sent; `sent` are the keys of what was, eight bytes each."""
        self._engine.refresh()
        self._connection = connection = self._engine.connection
        connection.execute("CREATE OR REPLACE TEMP TABLE replayed (key UBIGINT)")
        for chunk in sent:
            connection.execute(
                "INSERT INTO replayed SELECT CAST('0x' || unnest(string_split($keys, ',')) AS UBIGINT)",
                {"keys": chunk.hex(",", 8)},
            )
        with self._engine.blaming_segments():
            connection.execute(self._plan(), {"idle_since": self._idle_since, **self._window.parameters()})
            figures = self._figures()
        self._sessions = figures.sessions
        found = connection.execute("SELECT process, resource FROM processes WHERE resource IS NOT NULL").fetchall()
        self._resources = dict(found)
        return figures

    def batches(self) -> Iterator[list[StoredSpan]]:
        """The spans as planned, in order: sessions by their ends, spans of a session by theirs.

        Raises `PastChangedError` where the rows were moved meanwhile.
        """
        for first in range(1, self._sessions + 1, _SESSIONS_AT_ONCE):
            if self._engine.connection is not self._connection:
                raise PastChangedError
            with self._engine.blaming_segments():
                yield list(self._read(first, first + _SESSIONS_AT_ONCE))

    def _plan(self) -> str:
        """A session's turn is its end; where it has none, or no row, the last thing that came of it."""
        spans = " UNION ALL ".join(
            f"SELECT session_id, end_time FROM {table} WHERE span_id IS NOT NULL AND end_time IS NOT NULL "
            f"AND {self._sampled} AND {_KEY} NOT IN (SELECT key FROM replayed)"
            for table in _TABLES
        )
        return (
            "CREATE OR REPLACE TEMP TABLE replay_plan AS "
            f"WITH unsent AS ({spans}), "
            "by_session AS (SELECT session_id, count(*) AS spans, min(end_time) AS first_end, max(end_time) AS last_end "
            "FROM unsent GROUP BY session_id), "
            "turns AS (SELECT b.*, coalesce(s.ended_at, b.last_end) AS turn, "
            "s.session_id IS NOT NULL AND s.ended_at IS NULL AND b.last_end >= CAST($idle_since AS TIMESTAMP) AS is_open "
            "FROM by_session AS b LEFT JOIN sessions AS s ON s.session_id = b.session_id) "
            "SELECT *, CASE WHEN NOT is_open THEN row_number() OVER (PARTITION BY is_open ORDER BY turn, session_id) END AS place "
            "FROM turns WHERE turn > $since AND turn <= $until"
        )

    def _figures(self) -> PastFigures:
        connection = self._connection
        spans, sessions, open_spans, open_sessions = connection.execute(
            "SELECT coalesce(sum(spans) FILTER (NOT is_open), 0), count(*) FILTER (NOT is_open), "
            "coalesce(sum(spans) FILTER (is_open), 0), count(*) FILTER (is_open) FROM replay_plan"
        ).fetchall()[0]
        counts = "), (".join(
            f"SELECT [count(*) FILTER (span_id IS NULL), count(*) FILTER (span_id IS NOT NULL AND NOT {self._sampled}), "
            f"count(*) FILTER (span_id IS NOT NULL AND {self._sampled} AND {_KEY} IN (SELECT key FROM replayed))] FROM {table} "
            "WHERE end_time IS NOT NULL"
            for table in _TABLES
        )
        stages, others = connection.execute(f"SELECT ({counts})").fetchall()[0]
        without, unsampled, sent = (a + b for a, b in zip(stages, others, strict=True))
        return PastFigures(int(spans), sessions, sent, open_sessions, int(open_spans), unsampled, without)

    def _read(self, first: int, end: int) -> Iterator[StoredSpan]:
        places = {"first": first, "end": end}
        begin, last = self._connection.execute(
            "SELECT min(first_end), max(last_end) FROM replay_plan WHERE place >= $first AND place < $end", places
        ).fetchall()[0]
        found: list[tuple[Row, StoredSpan]] = []
        for table, columns, made in (
            ("processing_metrics", _STAGE_COLUMNS, _stage),
            ("spans", _SPAN_COLUMNS, _span),
        ):
            rows = self._connection.execute(
                f"SELECT p.place, r.end_time, r.start_time, {_KEY.replace('session_id', 'r.session_id')}, r.process, "
                f"{', '.join(columns)} FROM {table} AS r JOIN replay_plan AS p ON p.session_id = r.session_id "
                "WHERE p.place >= $first AND p.place < $end AND r.end_time >= $begin AND r.end_time <= $last "
                f"AND span_id IS NOT NULL AND {self._sampled} "
                f"AND {_KEY.replace('session_id', 'r.session_id')} NOT IN (SELECT key FROM replayed)",
                {**places, "begin": begin, "last": last},
            ).fetchall()
            found += [(row[:4], StoredSpan(row[3], made(row[5:]), self._resources.get(row[4], "{}"))) for row in rows]
        found.sort(key=lambda one: one[0])
        return (span for _, span in found)


def _time(name: str) -> str:
    return f"strftime(r.{name}, '%Y-%m-%dT%H:%M:%S.%fZ')"


_STAGE_COLUMNS = (
    "metric_id", "r.session_id", "user_id", "chat_id", "stage", _time("start_time"), _time("end_time"), "duration_ms",
    "success", "metadata", "span_id", "parent_span_id", "flags", "error_type", "attributes", "events", "links",
)  # fmt: skip
_SPAN_COLUMNS = (
    "record_id", "r.session_id", "name", "span_kind", _time("start_time"), _time("end_time"), "duration_ms",
    "success", "scope", "span_id", "parent_span_id", "flags", "error_type", "attributes", "events", "trace_id",
    "parent_is_remote", "scope_version", "trace_state", "links", "root",
)  # fmt: skip


def _stage(row: Row) -> ProcessingMetric:
    (
        metric_id, session_id, user_id, chat_id, stage, start, end, duration, success, metadata, span_id, parent, flags,
        error_type, attributes, events, links,
    ) = row  # fmt: skip
    return ProcessingMetric(
        metric_id, end, "metric", "stage_completed", "", session_id, user_id, chat_id, stage, start, end, duration or 0,
        bool(success), _object(metadata) or {}, span_id, parent or "", flags or 0, UNSET, _or_unset(error_type),
        _or_unset(_object(attributes)), _or_unset(_objects(events)), _or_unset(_objects(links)),
    )  # fmt: skip


def _span(row: Row) -> SpanEnded:
    (
        record_id, session_id, name, kind, start, end, duration, success, scope, span_id, parent, flags, error_type,
        attributes, events, trace_id, remote, version, state, links, root,
    ) = row  # fmt: skip
    fields: Any = (
        record_id, end, "metric", "span_ended", "", session_id, name, kind or "internal", start, end, duration or 0,
        bool(success), scope or "", span_id, parent or "", flags or 0, _or_unset(error_type), _or_unset(_object(attributes)),
        _or_unset(_objects(events)), _or_unset(trace_id), _or_unset(remote), _or_unset(version), _or_unset(state),
        _or_unset(_objects(links)),
    )  # fmt: skip
    if root or (scope == names.SCOPE and name == names.SESSION_SPAN and not parent):
        return SessionEnd(*fields, **_object(root) or {})
    return SpanEnded(*fields)


def _object(text: str | None) -> Json | None:
    return _decode(text) if text else None


def _objects(text: str | None) -> list[Json] | None:
    return _decode_list(text) if text else None


def _or_unset(value: Any) -> Any:
    return UNSET if value is None else value
