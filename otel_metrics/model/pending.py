"""Owns the process's table of records whose spans are open: what must not be an attribute reaches the exporter by it.

It is one for the process because exporters may be made by OpenTelemetry's own configuration, which can not be handed
our parts. It is bounded: where no exporter of ours takes records out, the oldest go.
"""

from contextlib import suppress

from otel_metrics.model.identity import record_id
from otel_metrics.model.records import ProcessingMetric, SessionEnd

PendingRecord = ProcessingMetric | SessionEnd
_MOST = 65_536
_records: dict[int, PendingRecord] = {}


def tie(record: ProcessingMetric, span_id: int, flags: int, start_ns: int) -> None:
    """Gives the record of a stage its span's ids and keeps it until the span is exported."""
    record.span_id = f"{span_id:016x}"
    record.flags = flags
    record.metric_id = record_id(start_ns, span_id)
    put(span_id, record)


def put(span_id: int, record: PendingRecord) -> None:
    """Keeps the record of a span until the span is exported."""
    if len(_records) >= _MOST:
        with suppress(KeyError, StopIteration, RuntimeError):  # another thread was faster
            del _records[next(iter(_records))]
    _records[span_id] = record


def pop(span_id: int) -> PendingRecord | None:
    """Takes the record of a span out."""
    return _records.pop(span_id, None)
