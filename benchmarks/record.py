"""What a recorded stage costs a bot: `timer()` with six metadata values against a bare SDK span with six attributes.

Both run in turn, in rounds; printed is the median of the rounds' ratios. Ours writes both journal lines
before it returns; the bare span has no processor at all. Other instrumentation libraries are measured the same way
where they are installed, with an exporter that throws everything away.
"""

import os
import statistics
import subprocess
import sys
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


def our_timer() -> Callable[[], None]:
    """A stage of ours, with everything that the default store does; the drain runs in the background as it would."""
    from otel_metrics import configure, create_session, timer

    configure()
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
            with client.start_as_current_observation(as_type="span", name="ai_processing", metadata=VALUES):
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


CONTESTANTS: dict[str, Callable[[], Callable[[], None]]] = {
    "otel_metrics timer()": our_timer,
    "SDK span, BatchSpanProcessor": batched_span,
    "OpenLLMetry": openllmetry_span,
    "Logfire": logfire_span,
    "Langfuse": langfuse_span,
}


def main() -> None:
    """Measures each contestant in a process of its own, since each wants to be the process's provider."""
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    for name in CONTESTANTS:
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run(
                [sys.executable, "-W", "ignore", str(Path(__file__).resolve()), name],
                cwd=folder,
                capture_output=True,
                text=True,
            )
        answer = run.stdout.strip().splitlines()
        print(
            answer[-1] if run.returncode == 0 and answer else f"{name}: left out, {run.stderr.strip().splitlines()[-1]}"
        )


def measure(name: str) -> None:
    """One contestant against the bare span, in turn; prints the median of the rounds' ratios."""
    run, bare = CONTESTANTS[name](), bare_span()
    yardsticks, ratios = [], []
    for _ in range(ROUNDS):
        yardsticks.append(_seconds(bare))
        ratios.append(_seconds(run) / yardsticks[-1])
    bare_us = statistics.median(yardsticks) / SPANS * 1e6
    print(
        f"{name}: {statistics.median(ratios):.2f} times a bare SDK span ({bare_us:.1f} µs, {ROUNDS} rounds of {SPANS})",
        flush=True,
    )
    os._exit(0)  # some contestants wait for a server at their end; the figures are out


def _seconds(run: Callable[[], None]) -> float:
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


if __name__ == "__main__":
    main()
