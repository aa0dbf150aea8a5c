"""What a recorded stage costs a bot: `timer()` with six metadata values against a bare SDK span with six attributes.

Both run in turn, in rounds, in one process; printed is the median of the rounds' ratios. Ours writes both journal lines
before it returns; the bare span has no processor at all. Other instrumentation libraries are measured the same way
where they are installed, with an exporter that throws everything away.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SPANS = 2_000
ROUNDS = 25
VALUES = {
    "model": "gpt-4o", "intent": "refund", "prompt_version": "v7", "tokens": 812, "temperature": 0.2, "cached": False,
}  # fmt: skip


def bare_span() -> Callable[[], None]:
    """A span of the SDK, with six attributes and no processor."""
    from opentelemetry.sdk.trace import TracerProvider

    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("bare")

    def run() -> None:
        for _ in range(SPANS):
            with tracer.start_as_current_span("ai_processing", attributes=VALUES):
                pass

    return run


def batched_span() -> Callable[[], None]:
    """The SDK's own way to export: BatchSpanProcessor before an exporter that does nothing. It loses spans on kill -9."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nothing(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            del spans
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nothing()))
    tracer = provider.get_tracer("batched")

    def run() -> None:
        for _ in range(SPANS):
            with tracer.start_as_current_span("ai_processing", attributes=VALUES):
                pass

    return run


def our_timer(folder: Path) -> Callable[[], None]:
    """A stage of ours, with everything that the default store does; the drain runs in the background as it would."""
    from otel_metrics import configure, create_session, timer

    configure(database=folder / "metrics.db", log_file=folder / "metrics.jsonl")
    session = create_session(12345, 67890)

    def run() -> None:
        for _ in range(SPANS):
            with timer(session, 12345, 67890, "ai_processing", **VALUES):
                pass

    return run


def logfire_span() -> Callable[[], None]:
    """A span of Logfire, sending nothing."""
    import logfire

    logfire.configure(send_to_logfire=False, console=False)

    def run() -> None:
        for _ in range(SPANS):
            with logfire.span("ai_processing", **VALUES):
                pass

    return run


def langfuse_span() -> Callable[[], None]:
    """A span of Langfuse, with an exporter of its own that reaches nobody."""
    from langfuse import Langfuse

    client = Langfuse(public_key="pk-none", secret_key="sk-none", host="http://127.0.0.1:9")

    def run() -> None:
        for _ in range(SPANS):
            with client.start_as_current_span(name="ai_processing", metadata=VALUES):
                pass

    return run


def openllmetry_span() -> Callable[[], None]:
    """A task of OpenLLMetry's Traceloop, with an in-memory exporter."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import task

    Traceloop.init(app_name="bench", exporter=InMemorySpanExporter(), disable_batch=False, telemetry_enabled=False)

    @task(name="ai_processing")
    def step(values: dict[str, object]) -> None:
        del values

    def run() -> None:
        for _ in range(SPANS):
            step(VALUES)

    return run


def main() -> None:
    """Measures in rounds and prints one line for each contestant."""
    with tempfile.TemporaryDirectory() as folder:
        contestants: dict[str, Callable[[], None]] = {"otel_metrics timer()": our_timer(Path(folder))}
        contestants["SDK span, BatchSpanProcessor"] = batched_span()
        others = {"OpenLLMetry": openllmetry_span, "Logfire": logfire_span, "Langfuse": langfuse_span}
        for name, make in others.items():
            try:
                contestants[name] = make()
            except ImportError:
                print(f"{name}: not installed, left out")
        bare = bare_span()
        ratios: dict[str, list[float]] = {name: [] for name in contestants}
        bare_us: list[float] = []
        for _ in range(ROUNDS):
            yardstick = _seconds(bare)
            bare_us.append(yardstick / SPANS * 1e6)
            for name, run in contestants.items():
                ratios[name].append(_seconds(run) / yardstick)
        print(f"bare SDK span: {statistics.median(bare_us):.1f} µs (pid {os.getpid()}, {ROUNDS} rounds of {SPANS})")
        for name, found in ratios.items():
            print(f"{name}: {statistics.median(found):.2f} times the bare span")
        from otel_metrics import shutdown

        shutdown()


def _seconds(run: Callable[[], None]) -> float:
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
