"""Owns the wait of a draft for a moderator: written when it is over, and one row however many processes tell it."""

from otel_metrics.model.identity import trace_id_of, wait_span_id_of
from otel_metrics.model.records import Json
from otel_metrics.model.times import iso
from otel_metrics.model.vocabulary import ProcessingStage
from otel_metrics.recording.kit import RecordingKit
from otel_metrics.recording.timer import record_stage

_REMEMBERED = 8192


def record_wait(
    kit: RecordingKit, session_id: str, user_id: object, chat_id: object, since_ns: int, metadata: Json
) -> None:
    """Writes the stage `moderation_queue` from `since_ns` until now; of several tellings the first in the journal counts.

    Where two machines' clocks differ so much that it would end before it began, it takes no time and is marked.
    """
    session_id, _ = kit.session_text(session_id)
    span_id = wait_span_id_of(trace_id_of(session_id), since_ns)
    if span_id in kit.waits:
        return
    record_stage(
        kit, session_id, user_id, chat_id, ProcessingStage.MODERATION_QUEUE, start_time=iso(since_ns), end_time=None,
        success=True, error_message=None, metadata=metadata, span_id=span_id,
    )  # fmt: skip
    kit.waits[span_id] = None
    while len(kit.waits) > _REMEMBERED:
        kit.waits.popitem(last=False)
