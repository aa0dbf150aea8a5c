"""What the levels of METRICS_DURABILITY cost: `timer()` at `interval` and at `strict` against `process`.

Three services in three processes take turns, round by round; printed is the median of the rounds' ratios.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable

SPANS = {"process": 2_000, "interval": 2_000, "strict": 200}
ROUNDS = 25
CHILD = """
import sys, time
from otel_metrics import configure, create_session, timer
configure()
session = create_session(1, 2)
for line in sys.stdin:
    count = int(line)
    before = time.perf_counter()
    for number in range(count):
        with timer(session, 1, 2, "ai_processing", model="gpt-4o", number=number):
            pass
    print((time.perf_counter() - before) / count, flush=True)
"""


def main() -> None:
    """Prints microseconds a stage at each level, and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        levels = {level: _start(level, folder) for level in SPANS}
        seconds: dict[str, list[float]] = {level: [] for level in SPANS}
        for number in range(ROUNDS + 2):
            for level, run in levels.items():
                took = run(SPANS[level])
                if number >= 2:
                    seconds[level].append(took)
    for level, took_s in seconds.items():
        ratios = [one / process for one, process in zip(took_s, seconds["process"], strict=True)]
        print(
            f"{level}: {statistics.median(took_s) * 1e6:.1f} µs a stage, {statistics.median(ratios):.2f} times `process`"
        )


def _start(level: str, folder: str) -> Callable[[int], float]:
    variables = {
        **os.environ, "METRICS_DURABILITY": level, "METRICS_DATABASE": f"{folder}/{level}.db",
        "METRICS_LOG_FILE": f"{folder}/{level}.jsonl",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD], env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def run(count: int) -> float:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{count}\n")
        process.stdin.flush()
        return float(process.stdout.readline())

    return run


if __name__ == "__main__":
    main()
