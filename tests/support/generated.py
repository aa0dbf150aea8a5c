"""Generated stores, and the dashboard's figures computed from their raw facts in plain Python."""

import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from otel_metrics.model.identity import record_id
from otel_metrics.model.records import CorrectionMetric, ProcessingMetric, encode_line
from otel_metrics.model.times import iso
from otel_metrics.settings import Settings
from otel_metrics.store.journal import Journal
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.tables import MetricsStorage

NOW_NS = 1_790_000_000_000_000_000


class StoppedClock:
    """A clock that stands at NOW_NS."""

    def time_ns(self) -> int:
        return NOW_NS

    def perf_counter_ns(self) -> int:
        return 0


@dataclass(frozen=True)
class Stage:
    session: int
    stage: str
    start_us: int
    duration_us: int
    success: bool

    @property
    def end_us(self) -> int:
        return self.start_us + self.duration_us


@dataclass(frozen=True)
class Correction:
    session: int
    kind: str
    admin: int
    at_us: int
    processing_ms: int | None
    satisfaction: int | None


def make_store(folder: Path, stages: list[Stage], corrections: list[Correction]) -> tuple[MetricsStorage, Settings]:
    """Writes the facts through the journal into the tables of a store in `folder`."""
    settings = Settings(database=folder / "metrics.db", log_file=folder / "metrics.jsonl")
    layout = StoreLayout(settings.database, settings.log_file)
    journal = Journal(layout, max_bytes=10**8)
    for number, one in enumerate(stages):
        journal.append(
            encode_line(
                ProcessingMetric(
                    record_id(one.start_us * 1000, number), iso(one.end_us * 1000), "metric", "stage_completed", "", f"s{one.session}", 1, 2,
                    one.stage, iso(one.start_us * 1000), iso(one.end_us * 1000), round(one.duration_us / 1000), one.success, {}, f"{number:016x}", "", 1,
                )
            )
        )  # fmt: skip
    for number, one in enumerate(corrections):
        record = CorrectionMetric(
            record_id(one.at_us * 1000, number), iso(one.at_us * 1000), "metric", "correction_recorded", "", f"s{one.session}", one.admin, "m",
            one.kind, 10, 12, one.processing_ms, 0.5, 0.75, {},
        )  # fmt: skip
        record.admin_satisfaction = one.satisfaction
        journal.append(encode_line(record))
    journal.close()
    storage = MetricsStorage(layout, settings)
    storage.drain()
    return storage, settings


def expected_figures(stages: list[Stage], corrections: list[Correction], hours: float) -> dict[str, object]:
    """The dashboard's figures by their definitions, from the raw facts."""
    until = NOW_NS // 1000
    since = until - round(hours * 3_600_000_000)
    inside = [one for one in stages if since < one.end_us <= until]
    corrected = [one for one in corrections if since < one.at_us <= until]
    sessions = {one.session for one in inside}
    totals = [
        max(one.end_us for one in stages if one.session == session)
        - min(one.start_us for one in stages if one.session == session)
        for session in sessions
    ]
    by_stage: dict[str, list[Stage]] = defaultdict(list)
    for one in inside:
        by_stage[one.stage].append(one)
    touched = sessions | {one.session for one in corrected}
    needed = {one.session for one in corrected if one.kind != "rejection"}
    return {
        "total_requests": len(sessions),
        "avg_total_processing_time_ms": statistics.fmean(totals) / 1000 if totals else 0.0,
        "overall_success_rate": 100 * sum(one.success for one in inside) / len(inside) if inside else 0.0,
        "total_corrections": len(corrected),
        "stages": {
            stage: {
                "count": len(found),
                "avg_duration_ms": statistics.fmean(one.duration_us for one in found) / 1000,
                "p50_ms": quantile([one.duration_us / 1000 for one in found], 0.5),
                "p95_ms": quantile([one.duration_us / 1000 for one in found], 0.95),
                "p99_ms": quantile([one.duration_us / 1000 for one in found], 0.99),
                "success_rate": 100 * sum(one.success for one in found) / len(found),
            }
            for stage, found in by_stage.items()
        },
        "types": {kind: sum(one.kind == kind for one in corrected) for kind in {one.kind for one in corrected}},
        "admins": {f"admin_{admin}": sum(one.admin == admin for one in corrected) for admin in {one.admin for one in corrected}},
        "rate": 100 * len(needed) / len(touched) if touched else 0.0,
    }  # fmt: skip


def quantile(values: list[float], share: float) -> float:
    """The interpolating quantile: between the two nearest ranks, in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
