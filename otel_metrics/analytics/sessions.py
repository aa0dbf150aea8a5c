"""Owns the questions about single sessions: the list, one of them whole, and what is in flight now."""

from datetime import datetime
from typing import Any

import msgspec

from otel_metrics.analytics.asking import Asking
from otel_metrics.analytics.search import Search
from otel_metrics.analytics.statements import QUERIES
from otel_metrics.analytics.window import Window, aware
from otel_metrics.errors import QueryError
from otel_metrics.model.identity import root_span_id_of, trace_id_of
from otel_metrics.store.health import is_dead

Record = dict[str, Any]
_TIMES = ("started_at", "last_activity_at", "ended_at", "start_time", "end_time", "timestamp", "waiting_since")
_JSON = ("metadata", "fields")


def list_sessions(
    engine: Asking, window: Window, now: datetime, timeout_hours: float, limit: int, search: Search
) -> list[Record]:
    """The sessions that were active in the window and are as searched for, newest first; `outcome` is None while a session is open."""
    _check(engine, search)
    wishes = {**window.parameters(), **search.parameters(), "session": None, "limit": limit}
    return _rows(engine, "sessions", {**wishes, "now": now, "timeout_h": timeout_hours})


def _check(engine: Asking, search: Search) -> None:
    if search.waiting is not None and "running" in engine.lacks:
        raise QueryError(
            "who waits for a moderator is known to the local store alone",
            "a search without it",
            "leave METRICS_BACKEND out",
        )


def whole_session(engine: Asking, window: Window, timeout_hours: float, session: str) -> Record:
    """One session with its spans in drawing order, its corrections and its logs. A unique beginning of the id will do."""
    session_id = _found(engine, session)
    wishes = {**window.parameters(), **Search().parameters(), "session": session_id, "limit": 1}
    (facts,) = _rows(engine, "sessions", {**wishes, "now": window.until, "timeout_h": timeout_hours})
    spans = _rows(engine, "session_spans", {"session": session_id})
    trace_id = trace_id_of(session_id)
    return {
        "session": facts,
        "trace_id": f"{trace_id:032x}",
        "spans": _in_drawing_order(spans, facts, f"{root_span_id_of(trace_id):016x}"),
        "corrections": _rows(engine, "session_corrections", {"session": session_id}),
        "logs": _rows(engine, "session_logs", {"session": session_id}),
    }


def in_flight(engine: Asking, window: Window, timeout_hours: float) -> Record:
    """`waiting`: drafts that wait for a moderator; `running`: stages begun and not ended, `interrupted` where their process died."""
    if "running" in engine.lacks:  # which reviews have begun is not known, so nor is who waits for one
        return {"waiting": [], "running": []}
    waiting = _rows(engine, "queue_waiting", {"now": window.until, "timeout_h": timeout_hours})
    running = _rows(engine, "queue_running", {"now": window.until})
    for row in running:
        pid, host = row.pop("pid"), row.pop("host")
        row["state"] = "interrupted" if is_dead(row["process"], pid, host) else "running"
    return {"waiting": waiting, "running": running}


def _found(engine: Asking, session: str) -> str:
    prefix = session.encode("utf-8", "replace").decode()  # what is no text is no beginning of an id
    found = [row[0] for row in engine.run(QUERIES["session_ids"], {"prefix": prefix}).rows] if prefix else []
    if not found:
        raise QueryError(
            f"no session {session!r}", "the id of a session, or its beginning", "see `otel-metrics sessions`"
        )
    if found[0] != session and len(found) > 1:
        raise QueryError(
            f"{len(found)} sessions or more begin with {session!r}",
            "a beginning that only one has",
            "give more of the id",
        )
    return str(found[0])


def _in_drawing_order(spans: list[Record], facts: Record, root_id: str) -> list[Record]:
    """The spans as a tree, each child behind its parent, siblings by start; with depth and offset from the first start."""
    known = {span["span_id"] for span in spans}
    children: dict[str, list[Record]] = {}
    for span in spans:
        parent = span["parent_span_id"] or ""
        children.setdefault(parent if parent in known and parent != root_id else "", []).append(span)
    origin = min((span["start_time"] for span in spans), default=facts["started_at"])
    ordered: list[Record] = []

    def visit(parent: str, depth: int) -> None:
        for span in children.get(parent, ()):
            is_root = span["span_id"] == root_id
            ordered.append(
                {
                    **span,
                    "depth": 0 if is_root else depth,
                    "offset_ms": (span["start_time"] - origin).total_seconds() * 1000,
                }
            )
            if not is_root:
                visit(span["span_id"], depth + 1)

    visit("", 1 if root_id in known else 0)
    return sorted(ordered, key=lambda span: span["kind"] != "session")


def _rows(engine: Asking, query: str, parameters: Record) -> list[Record]:
    """The rows of a query with aware times and decoded JSON."""
    rows = engine.run(QUERIES[query], parameters).as_dicts()
    for row in rows:
        for name in _TIMES:
            if name in row:
                row[name] = aware(row[name])
        for name in _JSON:
            if name in row:
                row[name] = msgspec.json.decode(row[name]) if row[name] else {}
    return rows
