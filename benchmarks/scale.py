"""A year of deployments of every size, hour by hour, with what this machine does: where one machine and one store end.

`python benchmarks/scale.py` measures first (recording, draining, compaction, questions, bytes), on stores of its own and one
processor each, and then lets a year of hours arrive as `generator.py` has them: quiet nights, an early and a late peak, half
as many on a Sunday. What can not be drained in its hour waits in the log; the longest such wait and the fullest disk are told.
"""

import gzip
import math
import random
import statistics
import tempfile
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from generator import STAGES_PER_SESSION, generate, write_cold, write_hot
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from stores import settings_in, write_stages

from otel_metrics import MetricsService
from otel_metrics.analytics.answers import Answers
from otel_metrics.analytics.compaction import compact
from otel_metrics.store.drain import Drain
from otel_metrics.store.layout import StoreLayout
from otel_metrics.store.segments import listed
from otel_metrics.store.tables import MetricsStorage

ARRIVALS = (0.1, 1.0, 10.0, 100.0, 1_000.0, 3_000.0)
"""Mean sessions a second over the year."""
RETENTION_DAYS = 30
RECORDED = 20_000
DRAINED = 200_000
ASKED = (100_000, 1_000_000)
LONGEST_QUESTION_S = 10.0
"""A day's dashboard that takes longer is not looked at."""
LONGEST_WAIT_H = 1.0


@dataclass(frozen=True)
class Machine:
    """What was measured here: rates for one processor, sizes for one stage."""

    stages_s: float
    line_bytes: float
    drained_s: float
    compacted_s: float
    cold_bytes: float
    otlp_bytes: float
    question_s: float
    question_row_s: float

    def dashboard_s(self, rows: float) -> float:
        """The whole document over so many cold rows."""
        return self.question_s + self.question_row_s * rows


@dataclass(frozen=True)
class Year:
    """What a year did: the busiest hour, the longest wait in the log, the fullest log and segments, the largest day."""

    peak_sessions_s: float
    longest_wait_h: float
    log_gb: float
    segments_gb: float
    day_rows: float


def main() -> None:
    """Measures, prints what was measured, and a row for each deployment."""
    with tempfile.TemporaryDirectory() as name:
        machine = _measure(Path(name))
    print(
        f"one process records {machine.stages_s:,.0f} stages/s; a stage is {machine.line_bytes:.0f} bytes in the log, "
        f"{machine.cold_bytes:.0f} in a segment, {machine.otlp_bytes:.0f} by OTLP (gzip)"
    )
    print(
        f"the drain moves {machine.drained_s:,.0f} rows/s, compaction {machine.compacted_s:,.0f}; a dashboard takes "
        f"{machine.question_s:.2f} s and {1e6 * machine.question_row_s:.2f} s a million rows\n"
    )
    print(
        "| sessions/s, mean | at the peak | processors that record | wait in the log | log | 30 days | a day's dashboard | one store |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for mean in ARRIVALS:
        year = simulate(mean, machine)
        asked_s = machine.dashboard_s(year.day_rows)
        fits = asked_s <= LONGEST_QUESTION_S and year.longest_wait_h <= LONGEST_WAIT_H
        waits = f"{year.longest_wait_h:.1f} h" if year.longest_wait_h < math.inf else "for ever"
        print(
            f"| {mean:g} | {year.peak_sessions_s:,.1f} | {year.peak_sessions_s * STAGES_PER_SESSION / machine.stages_s:.2f} | {waits}"
            f" | {_bytes(year.log_gb)} | {_bytes(year.segments_gb)} | {asked_s:,.1f} s | {'yes' if fits else 'no'} |"
        )


def simulate(mean: float, machine: Machine, seed: int = 1) -> Year:
    """A year of hours at `mean` sessions a second: Poisson arrivals around the hour's weight; one drain, which compaction takes turns with."""
    chance = random.Random(seed)
    weights = [_weight(hour) for hour in range(24 * 7)]
    middle = statistics.fmean(weights)
    moved_an_hour = 3600 / (1 / machine.drained_s + 1 / machine.compacted_s)
    waiting, longest_wait_h, most_waiting, peak, most_a_day = 0.0, 0.0, 0.0, 0.0, 0.0
    days: deque[float] = deque([0.0], maxlen=RETENTION_DAYS)
    most_kept = 0.0
    for hour in range(24 * 365):
        expected = mean * 3600 * weights[hour % len(weights)] / middle
        sessions = max(0.0, chance.gauss(expected, math.sqrt(expected)))
        peak = max(peak, sessions / 3600)
        waiting += sessions * STAGES_PER_SESSION
        moved = min(waiting, moved_an_hour)
        waiting -= moved
        most_waiting = max(most_waiting, waiting)
        longest_wait_h = max(longest_wait_h, waiting / moved_an_hour)
        if hour % 24 == 0:
            days.append(0.0)
        days[-1] += moved
        most_a_day, most_kept = max(most_a_day, days[-1]), max(most_kept, sum(days))
    is_hopeless = mean * STAGES_PER_SESSION * 3600 > moved_an_hour
    return Year(
        peak, math.inf if is_hopeless else longest_wait_h, most_waiting * machine.line_bytes / 1e9,
        most_kept * machine.cold_bytes / 1e9, most_a_day,
    )  # fmt: skip


def _weight(hour: int) -> float:
    """How many sessions arrive in an hour of the week against the others; as `generator.py` weighs them."""
    of_day, day = hour % 24, hour // 24
    by_hour = 0.15 + math.exp(-(((of_day - 11) / 3.0) ** 2)) + 0.8 * math.exp(-(((of_day - 19) / 2.5) ** 2))
    return by_hour * {6: 0.5, 5: 0.7}.get(day, 1.0)


def _measure(folder: Path) -> Machine:
    stages_s, line_bytes = _recording(folder / "recorded")
    compacted_s, cold_bytes = _compaction(folder / "compacted")
    small_s, large_s = (_question(folder / f"asked{rows}", rows) for rows in ASKED)
    each_s = max(0.0, (large_s - small_s) / (ASKED[1] - ASKED[0]))
    return Machine(
        stages_s, line_bytes, _drain(folder / "drained"), compacted_s, cold_bytes, _otlp_bytes(),
        max(0.0, small_s - each_s * ASKED[0]), each_s,
    )  # fmt: skip


def _recording(folder: Path) -> tuple[float, float]:
    settings = settings_in(folder)
    with MetricsService(settings) as service:
        session = service.create_session(1, 2)
        began = time.process_time()
        for number in range(RECORDED):
            with service.timer(session, 1, 2, "ai_processing", model="gpt-4o", intent="refund", tokens=number):
                pass
        rate = RECORDED / (time.process_time() - began)
        service.flush()
    size = sum(path.stat().st_size for path in StoreLayout(settings.database, settings.log_file).journal_files())
    return rate, size / RECORDED


def _drain(folder: Path) -> float:
    settings = settings_in(folder)
    write_stages(settings, DRAINED)
    began = time.process_time()
    Drain(StoreLayout(settings.database, settings.log_file)).run()
    return DRAINED / (time.process_time() - began)


def _compaction(folder: Path) -> tuple[float, float]:
    settings = settings_in(folder)
    layout = StoreLayout(settings.database, settings.log_file)
    with closing(generate(ASKED[1], 2)) as made:
        stages = write_hot(made, layout)
    storage = MetricsStorage(layout, settings)
    began = time.process_time()
    compact(storage, settings, wait_s=10.0)
    took_s = time.process_time() - began
    with storage.reading() as connection:
        size = sum(segment.bytes for segment in listed(connection))
    return stages / took_s, size / stages


def _question(folder: Path, rows: int) -> float:
    settings = settings_in(folder)
    layout = StoreLayout(settings.database, settings.log_file)
    with closing(generate(rows, 1)) as made:
        write_cold(made, layout)
    took_s = []
    for _ in range(3):
        with closing(Answers(MetricsStorage(layout, settings), settings)) as answers:
            began = time.perf_counter()
            answers.dashboard(24)
            took_s.append(time.perf_counter() - began)
    return min(took_s)


def _otlp_bytes() -> float:
    """A span with a stage's attributes, in a batch of 512 as exporters send them, compressed as the collector takes it."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("otel_metrics")
    for number in range(512):
        with tracer.start_as_current_span("ai_processing") as span:
            span.set_attribute("session.id", f"{random.Random(number).getrandbits(128):032x}")
            span.set_attribute("hitl.stage.name", "ai_processing")
            span.set_attribute("user.hash", f"{random.Random(-number).getrandbits(64):016x}")
            span.set_attribute("hitl.metadata.model", "gpt-4o")
    return len(gzip.compress(encode_spans(kept.get_finished_spans()).SerializeToString())) / 512


def _bytes(gigabytes: float) -> str:
    return (
        f"{gigabytes / 1000:,.1f} TB"
        if gigabytes >= 1000
        else f"{gigabytes:,.1f} GB"
        if gigabytes >= 1
        else f"{1000 * gigabytes:,.0f} MB"
    )


if __name__ == "__main__":
    main()
