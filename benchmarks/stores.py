"""Makes stores of any size for the other benchmarks: journal lines written straight, as a bot's processes would."""

import random
import time
from pathlib import Path
from typing import Any

from otel_metrics.model.identity import new_session_id, record_id
from otel_metrics.model.records import ProcessingMetric, encode_line
from otel_metrics.model.times import iso
from otel_metrics.settings import Settings
from otel_metrics.store.journal import Journal
from otel_metrics.store.layout import StoreLayout

STAGES = (
    ("query_received", 0.02), ("ai_processing", 2.5), ("moderation_queue", 240.0), ("admin_review", 45.0),
    ("correction_processing", 4.0), ("correction_ai", 1.5), ("final_response", 0.2), ("user_delivery", 0.3),
)  # fmt: skip


def settings_in(folder: Path) -> Settings:
    """Settings of a store in a folder."""
    return Settings(database=folder / "metrics.db", log_file=folder / "metrics.jsonl", retention_days=0)


def write_stages(
    settings: Settings,
    count: int,
    *,
    hours: float = 24.0,
    seed: int = 7,
    ago_hours: float = 0.0,
    resource: dict[str, Any] | None = None,
) -> None:
    """Writes `count` stage lines of sessions with eight stages each, spread evenly over the `hours` that end `ago_hours` before now.

    With a `resource` they are lines that are to be sent on by OTLP, as spans of it.
    """
    chance = random.Random(seed)
    journal = Journal(
        StoreLayout(settings.database, settings.log_file), max_bytes=settings.log_max_bytes,
        resource=lambda: resource or {}, forwards=resource is not None,
    )  # fmt: skip
    now_ns = time.time_ns() - round(ago_hours * 3.6e12)
    sessions = max(1, count // len(STAGES))
    written = 0
    for number in range(sessions + 1):
        start_ns = now_ns - round(hours * 3.6e12 * (1 - number / (sessions + 1)))
        session = new_session_id(start_ns)
        for stage, typical_s in STAGES:
            if written == count:
                break
            duration_ns = round(typical_s * chance.lognormvariate(0, 0.6) * 1e9)
            journal.append(_line(session, stage, start_ns, start_ns + duration_ns, chance))
            start_ns += duration_ns
            written += 1
    journal.close()


def _line(session: str, stage: str, start_ns: int, end_ns: int, chance: random.Random) -> bytes:
    span_id = chance.getrandbits(64)
    metadata = {
        "model": "gpt-4o",
        "intent": chance.choice(("refund", "order", "other")),
        "tokens": chance.randrange(2000),
    }
    return encode_line(
        ProcessingMetric(
            record_id(start_ns, span_id), iso(end_ns), "metric", "stage_completed", f"Stage completed: {stage}", session,
            chance.randrange(1, 5000), 7, stage, iso(start_ns), iso(end_ns), (end_ns - start_ns) // 1_000_000,
            chance.random() > 0.02, metadata, f"{span_id:016x}", "0000000000000001", 1,
        )
    )  # fmt: skip
