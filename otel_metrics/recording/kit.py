"""Owns what all recording shares: the parts that the composition root chose, and the way from a session to its trace."""

import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, Tracer

from otel_metrics.model.identity import IdHasher, as_integer_id, root_span_id_of, trace_id_of
from otel_metrics.model.records import Json, ProcessingMetric, Record, SessionEnd
from otel_metrics.model.times import Clock
from otel_metrics.model.values import clean_text, text_of
from otel_metrics.recording.guard import Guard
from otel_metrics.recording.instruments import Instruments
from otel_metrics.recording.usage import Usage

UNKNOWN_SESSION = "unknown"


class Ledger(Protocol):
    """Where records go: a boundary, so that recording knows no files."""

    def append(self, record: Record | Json) -> bool:
        """Keeps one record; False (and counted) if that was not possible. Never raises."""
        ...


class StageSpans(Protocol):
    """How the spans of stages are made: a boundary, so that our own provider can do it faster than the SDK."""

    def start(
        self, record: ProcessingMetric, parent: SpanContext, context: Context, start_ns: int, span_id: int = 0
    ) -> Span:
        """Starts the span of a stage, fills the ids of its record and writes the line of its begin, unless it has ended.

        `span_id` is for a span whose id is known beforehand, as far as the provider lets it have it.
        """
        ...

    def end(self, record: ProcessingMetric, span: Span, end_ns: int) -> None:
        """Ends the span with what the record says by now, which writes its line."""
        ...


class Roots(Protocol):
    """How the root spans of sessions are made."""

    def emit(self, record: SessionEnd, root: "RootSpan", start_ns: int, end_ns: int) -> None:
        """Makes the root span of a session that has ended, which writes its line."""
        ...


class LiveStage(Protocol):
    """A stage that is in progress in this process."""

    @property
    def span(self) -> Span | None:
        """Its span; None before it begins and after it has ended."""
        ...

    def disown(self) -> None:
        """In a forked child: the stage stays the parent's."""
        ...


class RootSpan(NonRecordingSpan):
    """The stand-in for a session's root span: a remote parent that nobody holds open."""

    def __init__(self, trace_id: int, *, sampled: bool) -> None:
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        super().__init__(SpanContext(trace_id, root_span_id_of(trace_id), is_remote=True, trace_flags=flags))
        self.context = self.get_span_context()
        self.trace_id = trace_id


@dataclass(slots=True)
class RecordingKit:
    """The parts of one service's recording. `sampled` says for a trace id whether the provider samples it."""

    stages: StageSpans
    roots: Roots
    tracer: Tracer
    ledger: Ledger
    instruments: Instruments
    hasher: IdHasher
    clock: Clock
    guard: Guard
    sampled: Callable[[int], bool]
    text_limit: int = 16_384
    capture_content: bool = False
    live: dict[str, list[LiveStage]] = field(default_factory=dict)
    usage: dict[str, Usage] = field(default_factory=dict)
    """What the model calls of stages in progress used, by the stage's span id; it stands here from the first call on."""
    waits: OrderedDict[int, None] = field(default_factory=OrderedDict)
    """The waits that this process has told: a telling again would change no row, but be measured again."""
    root_of: Callable[[str], RootSpan] = field(init=False)

    def __post_init__(self) -> None:
        self.root_of = lru_cache(maxsize=8192)(self._root_of)

    def no_longer_live(self, session_id: str, stage: LiveStage) -> None:
        """A stage that stands in `live` has ended."""
        stages = self.live.get(session_id)
        if stages is not None:
            if stage in stages:
                stages.remove(stage)
            if not stages:
                self.live.pop(session_id, None)

    def new_number(self) -> int:
        """64 random bits, for the key of a record that has no span of its own."""
        return int.from_bytes(os.urandom(8), "big")

    def _root_of(self, session_id: str) -> RootSpan:
        trace_id = trace_id_of(session_id)
        return RootSpan(trace_id, sampled=self.sampled(trace_id))

    def session_text(self, session_id: object) -> tuple[str, Json]:
        """The session id as text, and metadata about what was wrong with it."""
        if type(session_id) is str and 0 < len(session_id) <= 256 and session_id.isprintable():
            return session_id, {}
        text = "" if session_id is None else text_of(session_id)
        if not text.strip():
            self.guard.complain(
                "empty_session_id", f"session_id={text!r} is empty", "the text that create_session() gave"
            )
            return UNKNOWN_SESSION, {"session_id": clean_text(text, 256)}
        return clean_text(text, 256), {}


def integer_ids(**ids: object) -> tuple[list[int], Json]:
    """The ids as integers, and the originals of those that were not, for the metadata."""
    numbers, originals = [], {}
    for name, value in ids.items():
        number, original = as_integer_id(value)
        numbers.append(number)
        if original is not None:
            originals[name] = clean_text(text_of(original), 256)
    return numbers, originals
