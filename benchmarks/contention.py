"""How long one `timer()` takes while four other processes write to the same store at full speed: p99 against the median.

With a drain in every process, as bots have it. The writer that is measured pauses between its stages, as a bot would.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STAGES = 5_000
PAUSE_S = 0.0005
OTHERS = 4
WRITER = """
import otel_metrics as m
session = m.create_session(1, 2)
print("ready", flush=True)
while True:
    with m.timer(session, 1, 2, "ai_processing", model="gpt-4o"):
        pass
"""


def main() -> None:
    """Prints median, p99 and the longest, alone and beside the others."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(METRICS_DATABASE=str(folder / "metrics.db"), METRICS_LOG_FILE=str(folder / "metrics.jsonl"))
        from otel_metrics import create_session, shutdown

        session = create_session(1, 2)
        _print("alone", _measure(session))
        others = [
            subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True) for _ in range(OTHERS)
        ]
        try:
            for other in others:
                assert other.stdout is not None
                other.stdout.readline()
            _print(f"beside {OTHERS} writers on {os.cpu_count()} processors", _measure(session))
        finally:
            for other in others:
                other.kill()
                other.communicate()
        shutdown()


def _measure(session: str) -> list[float]:
    from otel_metrics import timer

    took_s = []
    for number in range(STAGES):
        before = time.perf_counter()
        with timer(session, 1, 2, "ai_processing", model="gpt-4o", number=number):
            pass
        took_s.append(time.perf_counter() - before)
        time.sleep(PAUSE_S)
    return sorted(took_s)


def _print(label: str, took_s: list[float]) -> None:
    median, p99 = statistics.median(took_s), took_s[len(took_s) * 99 // 100]
    print(
        f"{label}: median {median * 1e6:.0f} µs, p99 {p99 * 1e6:.0f} µs, longest {took_s[-1] * 1e3:.1f} ms; "
        f"p99 is {p99 / median:.1f} times the median"
    )


if __name__ == "__main__":
    main()
